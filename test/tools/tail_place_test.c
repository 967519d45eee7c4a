/* Places in words, and points in files. */
#include "tools/tail_place.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

static char *written(const struct tail_place *place)
{
    char *text;
    size_t len;
    FILE *to = open_memstream(&text, &len);

    tail_place_write(place, to);
    fclose(to);
    return text;
}

Test(tail_place, a_name_of_any_bytes_comes_back)
{
    char name[256];
    struct tail_place *place, *read;
    void *places = NULL, *others = NULL;
    char *text;

    for (int c = 1; c < 256; c++)
        name[c - 1] = (char)(c == '/' ? 'x' : c);
    name[255] = '\0';
    place = tail_place_make(&places, cs_str(name));
    place->id = (struct tail_id){.ino = UINT64_MAX, .born_ns = 1};
    tail_point_pass(&place->point, "\0\xff and more than thirty-two bytes of it", 39);
    text = written(place);
    for (const char *p = text; *p; p++)
        cr_assert(*p > ' ' && *p < 127 && *p != '&' && *p != '=' && *p != '?');
    cr_assert_eq(tail_place_add(&others, cs_str(text)), CS_OK);
    cr_assert_eq(tail_place_add(&others, cs_str(text)), CS_EINVAL, "the same name twice");
    read = tail_place_find(&others, name);
    cr_assert_not_null(read);
    cr_assert(tail_id_same(read->id, place->id));
    cr_assert_eq(read->point.pos, 39);
    cr_assert_eq(read->point.last_len, TAIL_LAST);
    cr_assert_arr_eq(read->point.last, place->point.last, TAIL_LAST);
    cr_assert_null(tail_place_find(&others, "nobody"));
    free(text);
    tail_places_free(places);
    tail_places_free(others);
}

Test(tail_place, what_is_no_place_is_refused)
{
    static const char *const wrong[] = {
        "",
        "a",
        "a@",
        "a@1",
        "a@1.2",
        "a@1.2:",
        "@1.2:3",
        "a@1.2:x",
        "a@1.2:-3",
        "a@x.2:3",
        "a@1.x:3",
        "a@.2:3",
        "a@1.:3",
        "a@11112222333344445.2:3",
        "a@1.2:9223372036854775808",
        "a@1.2:3:6",
        "a@1.2:3:6g",
        "a@1.2:1:6161",
        "a@1.2:3:61:",
        "%@1.2:3",
        "%6@1.2:3",
        "%6g@1.2:3",
        "%00@1.2:3",
        "%2f@1.2:3",
        "a/b@1.2:3",
        "a@1.2:99:616161616161616161616161616161616161616161616161616161616161616161"};
    void *places = NULL;

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_eq(tail_place_add(&places, cs_str(wrong[i])), CS_EINVAL, "%s", wrong[i]);
    cr_assert_null(places);
    cr_assert_eq(tail_place_add(&places, cs_bytes_of("a\0b@1.2:3", 9)), CS_EINVAL);
    cr_assert_eq(tail_place_add(&places, cs_str("a@1.2:3")), CS_OK, "without the bytes before");
    tail_places_free(places);
}

Test(tail_place, a_mark_is_no_line)
{
    char *mark = tail_mark_new((struct tail_id){.ino = 10, .born_ns = 11}, 12);
    static const char *const lines[] = {"", "\n", "a.b:12\n", "a.b:12", "\na.b:", "\na.b", "\n.:1"};
    struct tail_id id;
    int64_t pos;

    cr_assert_str_eq(mark, "\na.b:12");
    cr_assert(tail_mark_read(cs_str(mark), &id, &pos));
    cr_assert(id.ino == 10 && id.born_ns == 11 && pos == 12);
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        cr_expect(!tail_mark_read(cs_str(lines[i]), &id, &pos), "%s", lines[i]);
    free(mark);
}

Test(tail_place, the_last_bytes_are_those_before_the_point_however_they_came)
{
    uint8_t bytes[200];

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    for (size_t step = 1; step <= sizeof bytes; step++) {
        struct tail_point point = {.pos = 0};
        for (size_t at = 0; at < sizeof bytes; at += step) {
            size_t len = at + step > sizeof bytes ? sizeof bytes - at : step;
            tail_point_pass(&point, bytes + at, len);
            cr_assert_eq(point.pos, (int64_t)(at + len));
            cr_assert_eq(point.last_len, at + len < TAIL_LAST ? at + len : TAIL_LAST);
            cr_assert_arr_eq(point.last, bytes + at + len - point.last_len, point.last_len);
        }
    }
}

Test(tail_place, a_point_holds_where_the_bytes_before_it_are_the_same)
{
    struct tail_point point = {.pos = 0};
    FILE *file = tmpfile();
    int fd = fileno(file);

    cr_assert_eq(pwrite(fd, "one\ntwo\n", 8, 0), 8);
    cr_assert(tail_point_holds(&point, fd));
    tail_point_pass(&point, "one\n", 4);
    cr_assert(tail_point_holds(&point, fd));
    cr_assert_eq(pwrite(fd, "0", 1, 0), 1);
    cr_assert_not(tail_point_holds(&point, fd), "another byte");
    cr_assert_eq(pwrite(fd, "o", 1, 0), 1);
    cr_assert_eq(ftruncate(fd, 3), 0);
    cr_assert_not(tail_point_holds(&point, fd), "shorter");
    point.last_len = 0;
    cr_assert_not(tail_point_holds(&point, fd), "shorter, and no bytes are known");
    fclose(file);
}

Test(tail_place, options_begin_at_one_of_their_names)
{
    cr_assert_eq(tail_options_at(cs_str("")), 0);
    cr_assert_eq(tail_options_at(cs_str("a?b*")), 4);
    cr_assert_eq(tail_options_at(cs_str("a?b?mark=1&at=x")), 3);
    cr_assert_eq(tail_options_at(cs_str("?at=")), 0);
    cr_assert_eq(tail_options_at(cs_str("??follow=0")), 1);
    cr_assert_eq(tail_options_at(cs_str("a?follow")), 8);
}
