/* The list of services as it is on the wire. */
#include "tools/service_list.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#define MESSAGE(text) cs_bytes_of(text, sizeof text - 1)

static const char three[] = "\x0a\x08INSTANCE"
                            "\x12\x03one"
                            "\x18\x00"
                            "\x22\x05\x0a\x03zwo"
                            "\x22\x05\x0a\x03"
                            "abc"
                            "\x22\x07\x0a\x05three";

Test(service_list, has_a_node_and_sorted_names)
{
    struct service_list list;

    cr_assert_eq(service_list_parse(MESSAGE(three), &list), CS_OK);
    cr_assert(cs_same(list.node, cs_str("one")));
    cr_assert_not(list.draining);
    cr_assert_eq(list.len, 3);
    cr_assert(cs_same(list.names[0], cs_str("abc")));
    cr_assert(cs_same(list.names[1], cs_str("three")));
    cr_assert(cs_same(list.names[2], cs_str("zwo")));
    cr_assert(service_list_has(&list, cs_str("three")));
    cr_assert_not(service_list_has(&list, cs_str("thre")));
    service_list_free(&list);
    cr_assert_not(service_list_has(&list, cs_str("three")));
}

Test(service_list, may_be_empty_and_may_drain)
{
    struct service_list list;

    cr_assert_eq(service_list_parse(cs_bytes_of(NULL, 0), &list), CS_OK);
    cr_assert_eq(list.len + list.node.len, 0);
    service_list_free(&list);
    cr_assert_eq(service_list_parse(MESSAGE("\x18\x01"), &list), CS_OK);
    cr_assert(list.draining);
    service_list_free(&list);
}

/* Fields of a later version: of each type, in the list and in a service. */
Test(service_list, what_is_not_known_is_left_alone)
{
    static const char later[] = "\x78\xff\x01"
                                "\x79"
                                "12345678"
                                "\x7a\x02xx"
                                "\x7d"
                                "1234"
                                "\x22\x09\x78\x05\x7a\x02yy\x0a\x01n";
    struct service_list list;

    cr_assert_eq(service_list_parse(MESSAGE(later), &list), CS_OK);
    cr_assert_eq(list.len, 1);
    cr_assert(cs_same(list.names[0], cs_str("n")));
    service_list_free(&list);
}

Test(service_list, a_message_that_is_cut_is_none)
{
    struct service_list list;
    size_t whole = 0;

    for (size_t len = 0; len < sizeof three - 1; len++) {
        char *cut = malloc(len + 1); /* so that a byte too far is seen */
        memcpy(cut, three, len);
        cut = realloc(cut, len ? len : 1);
        if (service_list_parse(cs_bytes_of(cut, len), &list) == CS_OK) {
            whole++;
            service_list_free(&list);
        }
        free(cut);
    }
    cr_assert_eq(whole, 6, "%zu", whole); /* between two fields */
}

Test(service_list, nonsense_is_none)
{
    struct service_list list;

    cr_assert_eq(service_list_parse(MESSAGE("\x23"), &list), CS_EPROTO); /* a group */
    cr_assert_eq(service_list_parse(MESSAGE("\x22\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), &list),
                 CS_EPROTO);
    cr_assert_eq(
        service_list_parse(MESSAGE("\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), &list),
        CS_EPROTO);
    cr_assert_eq(service_list_parse(MESSAGE("\x22\x01\x0a"), &list), CS_EPROTO);
}

Test(service_list, a_thousand_names_each_once)
{
    char message[16384], name[8];
    struct service_list list;
    size_t len = 0;

    for (int i = 0; i < 1500; i++) {
        int n = snprintf(name, sizeof name, "s%d", (i * 7) % 1000);
        len += (size_t)sprintf(message + len, "\x22%c\x0a%c%s", n + 2, n, name);
    }
    cr_assert_eq(service_list_parse(cs_bytes_of(message, len), &list), CS_OK);
    cr_assert_eq(list.len, 1000);
    for (size_t i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "s%zu", i);
        cr_assert(service_list_has(&list, cs_str(name)), "%s", name);
    }
    service_list_free(&list);
}
