/* list -- intrusive doubly linked lists, and the object around a member.  For systems that are built on
 * the framework, too; nothing in its calls needs it.
 *
 * A link is in at most one list; a link that is in none points at itself (cs_link_init).
 */
#ifndef CS_LIST_H
#define CS_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct cs_link {
    struct cs_link *next, *prev;
};
struct cs_list { /* a ring with the head in it */
    struct cs_link head;
};

#define CS_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void cs_link_init(struct cs_link *link)
{
    link->next = link->prev = link;
}
static inline bool cs_linked(const struct cs_link *link)
{
    return link->next != link;
}
static inline void cs_list_init(struct cs_list *list)
{
    cs_link_init(&list->head);
}
static inline bool cs_list_empty(const struct cs_list *list)
{
    return list->head.next == &list->head;
}
static inline void cs_link_between(struct cs_link *link, struct cs_link *prev, struct cs_link *next)
{
    link->prev = prev;
    link->next = next;
    prev->next = link;
    next->prev = link;
}
static inline void cs_list_push(struct cs_list *list, struct cs_link *link) /* at the end */
{
    cs_link_between(link, list->head.prev, &list->head);
}
static inline void cs_list_push_front(struct cs_list *list, struct cs_link *link)
{
    cs_link_between(link, &list->head, list->head.next);
}
static inline void cs_unlink(struct cs_link *link) /* harmless when it is in no list */
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    cs_link_init(link);
}
static inline struct cs_link *cs_list_first(const struct cs_list *list) /* NULL: empty */
{
    return cs_list_empty(list) ? NULL : list->head.next;
}
static inline struct cs_link *cs_list_last(const struct cs_list *list) /* NULL: empty */
{
    return cs_list_empty(list) ? NULL : list->head.prev;
}
static inline struct cs_link *cs_list_next(const struct cs_list *list, const struct cs_link *link)
{
    return link->next == &list->head ? NULL : link->next;
}
static inline struct cs_link *cs_list_pop(struct cs_list *list) /* the first; NULL: empty */
{
    struct cs_link *first = cs_list_first(list);
    if (first)
        cs_unlink(first);
    return first;
}
static inline void cs_list_move(struct cs_list *to, struct cs_list *from) /* appends all of it */
{
    struct cs_link *first = from->head.next, *last = from->head.prev;
    if (cs_list_empty(from))
        return;
    first->prev = to->head.prev;
    to->head.prev->next = first;
    last->next = &to->head;
    to->head.prev = last;
    cs_list_init(from);
}

#endif
