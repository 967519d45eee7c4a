#include "mux/mux__in.h"
#include "test/support/failing.h"

#include <criterion/criterion.h>

static bool ok(const char *name, const char *value)
{
    return mux_metadata_ok(cs_str(name), cs_str(value));
}

Test(meta, names_are_lower_case_and_not_anybody_elses)
{
    cr_assert(ok("x", "v") && ok("a-b_c.9", "v") && ok("chanserv-reason", "v") && ok("-bin", "v"));
    static const char *const bad[] = {"",
                                      "X",
                                      "a b",
                                      "a:b",
                                      ":path",
                                      "grpc-",
                                      "grpc-status",
                                      "te",
                                      "host",
                                      "upgrade",
                                      "connection",
                                      "keep-alive",
                                      "content-type",
                                      "\xc3\xbc",
                                      "user-agent",
                                      "content-length",
                                      "transfer-encoding"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert(!ok(bad[i], "v"), "%s", bad[i]);
}

Test(meta, values_are_printable_unless_they_are_bytes)
{
    cr_assert(ok("x", "") && ok("x", "a b~!"));
    cr_assert(!ok("x", " a") && !ok("x", "a ") && !ok("x", "a\nb") && !ok("x", "\x7f"));
    cr_assert(!ok("x", "\xc3\xbc") && !mux_metadata_ok(cs_str("x"), cs_bytes_of("a\0b", 3)));
    cr_assert(mux_metadata_ok(cs_str("x-bin"), cs_bytes_of("\0\n\xff", 3)));
    cr_assert(mux_metadata_ok(cs_str("x"), cs_bytes_of(NULL, 0)));
}

Test(meta, what_was_added_is_found)
{
    struct mux__meta *meta = NULL;
    cs_bytes v;
    cr_assert_eq(mux__meta_get(meta, "a", &v), CS_ENOENT);
    cr_assert_eq(mux__meta_make(&meta), CS_OK);
    for (char name[2] = "a"; name[0] <= 'z'; name[0]++)
        cr_assert_eq(mux__meta_add(meta, cs_str(name), cs_str(name)), CS_OK);
    cr_assert_eq(mux__meta_add(meta, cs_str("empty"), cs_bytes_of(NULL, 0)), CS_OK);
    cr_assert_eq(mux__meta_get(meta, "m", &v), CS_OK);
    cr_assert(cs_same(v, cs_str("m")));
    cr_assert_eq(mux__meta_get(meta, "empty", &v), CS_OK);
    cr_assert_eq(v.len, 0);
    cr_assert_eq(mux__meta_get(meta, "mm", &v), CS_ENOENT);
    mux__meta_free(meta);
    mux__meta_free(NULL);
}

Test(meta, bytes_are_decoded_and_what_is_not_base64_stays)
{
    struct mux__meta *meta = NULL;
    cs_bytes v;
    cr_assert_eq(mux__meta_make(&meta), CS_OK);
    cr_assert_eq(mux__meta_add_wire(meta, cs_str("a-bin"), cs_str("AP8=")), CS_OK);
    cr_assert_eq(mux__meta_add_wire(meta, cs_str("b-bin"), cs_str("AP8")), CS_OK);
    cr_assert_eq(mux__meta_add_wire(meta, cs_str("c-bin"), cs_str("!!")), CS_OK);
    cr_assert_eq(mux__meta_add_wire(meta, cs_str("d"), cs_str("AP8=")), CS_OK);
    for (char name[6] = "a-bin"; name[0] <= 'b'; name[0]++) {
        cr_assert_eq(mux__meta_get(meta, name, &v), CS_OK);
        cr_assert(cs_same(v, cs_bytes_of("\0\xff", 2)));
    }
    cr_assert_eq(mux__meta_get(meta, "c-bin", &v), CS_OK);
    cr_assert(cs_same(v, cs_str("!!")));
    cr_assert_eq(mux__meta_get(meta, "d", &v), CS_OK);
    cr_assert(cs_same(v, cs_str("AP8=")));
    mux__meta_free(meta);
}

static void many_fields(void)
{
    struct mux__meta *meta = NULL;
    struct mux__fields f;
    cs_err err = mux__meta_make(&meta);
    for (int i = 0; i < 40 && err == CS_OK; i++)
        err = mux__meta_add_wire(meta, cs_str(i % 2 ? "a-bin" : "b"), cs_str("eHh4"));
    mux__fields_init(&f);
    mux__fields_add(&f, cs_str("first"), cs_str("1"), true);
    mux__fields_add_meta(&f, meta);
    mux__fields_add_meta(&f, NULL);
    if (err == CS_OK && f.err == CS_OK) {
        cr_assert_eq(f.len, 41);
        for (size_t i = 1; i < 41; i++)
            cr_assert(cs_same(f.all[i].value, cs_str("eHh4")));
        cr_assert(cs_same(f.all[0].name, cs_str("first")));
    } else
        cr_assert(failing_failed());
    mux__fields_fini(&f);
    mux__meta_free(meta);
}

Test(meta, fields_survive_every_failed_allocation)
{
    failing_story(many_fields);
}
