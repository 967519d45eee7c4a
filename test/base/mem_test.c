/* Memory, text, bytes, random, secrets, the log. */
#include "base/mem.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* An allocator that counts, and fails when told. */
struct counted {
    size_t live, calls, fail_at; /* fail_at: 0 never, n the n-th call and all behind it */
};

static void *counted_alloc(size_t size, void *user)
{
    struct counted *c = user;
    if (++c->calls >= c->fail_at && c->fail_at > 0)
        return NULL;
    c->live++;
    return malloc(size);
}

static void *counted_realloc(void *old, size_t size, void *user)
{
    struct counted *c = user;
    if (++c->calls >= c->fail_at && c->fail_at > 0)
        return NULL;
    return realloc(old, size);
}

static void counted_free(void *p, void *user)
{
    struct counted *c = user;
    c->live--;
    free(p);
}

static void count_with(struct counted *c)
{
    struct cs_allocator a = {counted_alloc, counted_realloc, counted_free, c};
    cs_set_allocator(&a);
}

static void test_vprintf_into(char **text, const char *format, ...) CS_PRINTF(2, 3);
static void test_vprintf_into(char **text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    *text = cs_vprintf(format, args);
    va_end(args);
}

Test(mem, everything_passes_the_allocator_that_was_set)
{
    struct counted c = {0};
    struct cs_buf buf = {0};
    char *story = NULL, *text;
    void *p, *q;

    count_with(&c);
    p = cs_alloc(0);
    q = cs_realloc(NULL, 10);
    p = cs_realloc(p, 1000);
    cr_assert(p && q);
    text = cs_printf("%d", 42);
    cs_story(&story, "%s!", text);
    cr_assert_eq(cs_buf_add(&buf, cs_str("xyz")), CS_OK);
    cr_assert_eq(c.live, 5u);
    cr_assert_eq(c.calls, 6u);
    cs_free(p);
    cs_free(q);
    cs_free(text);
    cs_free(story);
    cs_free(NULL);
    cs_buf_fini(&buf);
    cr_assert_eq(c.live, 0u);
    cs_set_allocator(NULL);
    cs_free(cs_alloc(1));
    cr_assert_eq(c.calls, 6u);
}

Test(mem, a_table_with_a_hole_is_not_an_allocator)
{
    struct cs_allocator a = {.alloc = counted_alloc};
    void *p;

    cs_set_allocator(&a);
    p = cs_alloc(8);
    cr_assert(p);
    cs_free(p);
}

Test(mem, an_object_with_extra_is_all_zero_and_aligned)
{
    uint8_t *p = cs_zalloc_with(17, 40);

    cr_assert(p);
    for (size_t i = 0; i < 32 + 40; i++)
        cr_assert_eq(p[i], 0);
    cr_assert_eq((uint8_t *)cs_extra(p, 17), p + 32);
    cs_free(p);
}

Test(mem, sizes_that_overflow_are_refused)
{
    struct cs_buf buf = {0};

    cr_assert_null(cs_zalloc_with(SIZE_MAX - 3, 0));
    cr_assert_null(cs_zalloc_with(64, SIZE_MAX - 32));
    cr_assert_null(cs_bytesdup(cs_bytes_of("", SIZE_MAX)));
    cr_assert_eq(cs_buf_add(&buf, cs_str("x")), CS_OK);
    cr_assert_eq(cs_buf_reserve(&buf, SIZE_MAX), CS_ENOMEM);
    cr_assert_eq(buf.len, 1u);
    cs_buf_fini(&buf);
}

Test(mem, copies_of_text_end_in_a_nul)
{
    char *a = cs_strdup("hello"), *b = cs_bytesdup(cs_bytes_of("a\0bX", 3)), *c;

    test_vprintf_into(&c, "%s-%d", "x", 7);
    cr_assert_str_eq(a, "hello");
    cr_assert_eq(memcmp(b, "a\0b\0", 4), 0);
    cr_assert_str_eq(c, "x-7");
    cr_assert_null(cs_strdup(NULL));
    cs_free(a);
    cs_free(b);
    cs_free(c);
    c = cs_bytesdup(cs_bytes_of(NULL, 0));
    cr_assert_str_eq(c, "");
    cs_free(c);
}

Test(mem, a_story_may_quote_itself)
{
    char *story = NULL;

    cs_story(&story, "connection refused");
    cs_story(&story, "dial %s: %s", "here", story);
    cr_assert_str_eq(story, "dial here: connection refused");
    cs_free(story);
    cs_story(NULL, "nobody %s", "listens");
}

Test(mem, a_story_without_memory_keeps_the_old_text)
{
    struct counted c = {0};
    char *story = NULL;

    count_with(&c);
    cs_story(&story, "first");
    c.fail_at = c.calls + 1;
    cs_story(&story, "second");
    cr_assert_str_eq(story, "first");
    cs_free(story);
    cr_assert_eq(c.live, 0u);
}

Test(mem, a_buf_grows_and_keeps_what_it_has)
{
    struct cs_buf buf = {0};
    char line[16];
    size_t len = 0;

    for (int i = 0; i < 1000; i++) {
        int n = snprintf(line, sizeof(line), "%d,", i);
        cr_assert_eq(cs_buf_add(&buf, cs_bytes_of(line, (size_t)n)), CS_OK);
        len += (size_t)n;
    }
    cr_assert_eq(cs_buf_add(&buf, cs_bytes_of(NULL, 0)), CS_OK);
    cr_assert_eq(buf.len, len);
    cr_assert_eq(memcmp(buf.base, "0,1,2,", 6), 0);
    cr_assert_eq(memcmp(buf.base + len - 8, "998,999,", 8), 0);
    cr_assert_leq(buf.cap, 2 * len);
    cs_buf_fini(&buf);
    cr_assert(!buf.base && buf.len == 0 && buf.cap == 0);
}

Test(mem, a_buf_without_memory_is_as_before)
{
    struct counted c = {0};
    struct cs_buf buf = {0};

    count_with(&c);
    cr_assert_eq(cs_buf_add(&buf, cs_str("abc")), CS_OK);
    c.fail_at = 1;
    cr_assert_eq(cs_buf_reserve(&buf, 10000), CS_ENOMEM);
    cr_assert_eq(buf.len, 3u);
    cr_assert_eq(memcmp(buf.base, "abc", 3), 0);
    cs_buf_fini(&buf);
    cr_assert_eq(c.live, 0u);
}

Test(mem, random_bytes_do_not_repeat)
{
    static uint64_t seen[2000];
    uint8_t large[4096] = {0};
    size_t zeros = 0;

    for (size_t i = 0; i < 2000; i++) {
        cr_assert_eq(cs_random(&seen[i], sizeof(seen[i])), CS_OK);
        for (size_t k = 0; k < i; k++)
            cr_assert_neq(seen[k], seen[i]);
    }
    cr_assert_eq(cs_random(large, sizeof(large)), CS_OK);
    for (size_t i = 0; i < sizeof(large); i++)
        zeros += large[i] == 0;
    cr_assert_lt(zeros, 100u);
    cr_assert_eq(cs_random(large, 0), CS_OK);
}

Test(mem, bytes_are_put_behind_each_other)
{
    char room[8] = "........", *at = room;
    cs_bytes one = cs_bytes_put(&at, cs_str("one"));
    cs_bytes none = cs_bytes_put(&at, cs_bytes_of(NULL, 0));
    cs_bytes two = cs_bytes_put(&at, cs_str("two"));

    cr_assert(at == room + 6 && memcmp(room, "onetwo..", 8) == 0);
    cr_assert(one.base == room && none.len == 0 && two.base == room + 3);
    cr_assert(cs_same(one, cs_str("one")) && cs_same(two, cs_str("two")));
}

static int order(const char *a, const char *b)
{
    return cs_order(cs_str(a), cs_str(b));
}

Test(mem, bytes_have_an_order)
{
    cr_assert(order("a", "b") < 0 && order("b", "a") > 0 && order("a", "a") == 0);
    cr_assert(order("a", "ab") < 0 && order("ab", "a") > 0, "what is longer comes later");
    cr_assert(order("b", "ab") > 0 && order("a\xff", "ab") > 0, "by bytes without a sign");
    cr_assert_eq(cs_order(cs_bytes_of(NULL, 0), cs_str("")), 0);
    cr_assert_lt(cs_order(cs_bytes_of(NULL, 0), cs_str("a")), 0);
}

Test(mem, secrets_are_compared_whole)
{
    cr_assert(cs_same_secret("abc", "abc", 3));
    cr_assert_not(cs_same_secret("abc", "abd", 3));
    cr_assert_not(cs_same_secret("Abc", "abc", 3));
    cr_assert(cs_same_secret("", "x", 0));
    cr_assert(cs_same_secret8("abcdefgh", "abcdefgh"));
    for (size_t at = 0; at < 8; at++) {
        char other[] = "abcdefgh";

        other[at] ^= 1;
        cr_assert_not(cs_same_secret8("abcdefgh", other), "%zu", at);
    }
}

struct lines {
    int n;
    cs_level level;
    char room[32], last[2048];
};

static void keep_line(cs_level level, const char *room, const char *line, void *user)
{
    struct lines *lines = user;
    lines->n++;
    lines->level = level;
    snprintf(lines->room, sizeof(lines->room), "%s", room);
    snprintf(lines->last, sizeof(lines->last), "%s", line);
}

Test(log, tells_what_is_grave_enough)
{
    struct lines lines = {0};

    cs_log(CS_ERROR, "mux", "nobody listens yet");
    cs_set_log(keep_line, &lines, CS_WARN);
    cs_log(CS_INFO, "mux", "too chatty");
    cr_assert_eq(lines.n, 0);
    cs_log(CS_WARN, "mux", "%d of %d", 1, 2);
    cs_log(CS_ERROR, "mux", "bad");
    cr_assert_eq(lines.n, 2);
    cr_assert_eq(lines.level, CS_ERROR);
    cr_assert_str_eq(lines.room, "mux");
    cr_assert_str_eq(lines.last, "bad");
    cs_set_log(NULL, NULL, CS_DEBUG);
    cs_log(CS_ERROR, "mux", "worse");
    cr_assert_eq(lines.n, 2);
}

Test(log, a_quoted_peer_cannot_forge_a_line)
{
    struct lines lines = {0};
    char text[3000];

    cs_set_log(keep_line, &lines, CS_DEBUG);
    cs_log(CS_INFO, "mux", "name \"%s\"", "x\r\nroot logged in\x1b[2J\x7f");
    cr_assert_str_eq(lines.last, "name \"x  root logged in [2J \"");
    memset(text, 'y', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    cs_log(CS_INFO, "mux", "%s", text);
    cr_assert_eq(strlen(lines.last), 1023u);
    cs_set_log(NULL, NULL, CS_ERROR);
}
