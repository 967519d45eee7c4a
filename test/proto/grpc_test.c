/* gRPC's spellings: grpc-timeout, grpc-message, "-bin" metadata. */
#include "proto/status.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define BYTES(literal) cs_bytes_of(literal, sizeof(literal) - 1)

/* ---- grpc-timeout -------------------------------------------------------------------------- */

static int64_t timeout_of(const char *text)
{
    int64_t ms = -77;

    cr_assert_eq(wire_timeout_parse(cs_str(text), &ms), CS_OK, "%s", text);
    return ms;
}

static void no_timeout(cs_bytes text)
{
    int64_t ms = -77;

    cr_assert_eq(wire_timeout_parse(text, &ms), CS_EINVAL, "%.*s", CS_FMT(text));
    cr_assert_eq(ms, -77, "a failed call wrote its answer");
}

Test(grpc_timeout, every_unit)
{
    cr_assert_eq(timeout_of("2H"), 7200000);
    cr_assert_eq(timeout_of("2M"), 120000);
    cr_assert_eq(timeout_of("5S"), 5000);
    cr_assert_eq(timeout_of("2010m"), 2010);
    cr_assert_eq(timeout_of("3000u"), 3);
    cr_assert_eq(timeout_of("4000000n"), 4);
    cr_assert_eq(timeout_of("0S"), 0);
    cr_assert_eq(timeout_of("00000005m"), 5);
}

Test(grpc_timeout, less_than_a_millisecond_is_rounded_up)
{
    cr_assert_eq(timeout_of("1n"), 1);
    cr_assert_eq(timeout_of("1u"), 1);
    cr_assert_eq(timeout_of("1001u"), 2);
    cr_assert_eq(timeout_of("1000000n"), 1);
    cr_assert_eq(timeout_of("1000001n"), 2);
    cr_assert_eq(timeout_of("0n"), 0);
    cr_assert_eq(timeout_of("0u"), 0);
}

Test(grpc_timeout, the_longest_one_is_eleven_thousand_years)
{
    cr_assert_eq(timeout_of("99999999H"), 359999996400000);
}

Test(grpc_timeout, what_is_none)
{
    static const char *const bad[] = {"",     "S",          "5",          "5 S", " 5S",  "5S ",
                                      "-5S",  "+5S",        "5s",         "5h",  "5.5S", "5SS",
                                      "0x5S", "123456789S", "000000001S", "S5",  "m"};

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        no_timeout(cs_str(bad[i]));
    no_timeout(cs_bytes_of(NULL, 0));
    no_timeout(BYTES("5\0S"));
    no_timeout(BYTES("5S\0"));
}

static void written(int64_t ms, const char *expected)
{
    char to[10];
    size_t len = wire_timeout_format(to, ms);

    cr_assert(cs_same(cs_bytes_of(to, len), cs_str(expected)), "%lld: %.*s, not %s", (long long)ms,
              (int)len, to, expected);
}

Test(grpc_timeout, is_written_in_milliseconds_while_they_fit)
{
    written(0, "0m");
    written(1, "1m");
    written(2010, "2010m");
    written(99999999, "99999999m");
    written(-5, "0m");
    written(INT64_MIN, "0m");
}

Test(grpc_timeout, is_written_rounded_up_in_the_next_unit_that_fits)
{
    written(100000000, "100000S");
    written(100000001, "100001S");
    written(99999999000, "99999999S");
    written(99999999001, "1666667M");
    written(99999999 * INT64_C(60000), "99999999M");
    written(99999999 * INT64_C(60000) + 1, "1666667H");
    written(99999999 * INT64_C(3600000), "99999999H");
    written(INT64_MAX, "99999999H");
}

Test(grpc_timeout, what_is_written_is_read_as_no_less)
{
    char to[10];
    int64_t back;

    for (int64_t ms = 1; ms < 359999996400000 / 3; ms = ms * 3 + 1) {
        size_t len = wire_timeout_format(to, ms);
        cr_assert_eq(wire_timeout_parse(cs_bytes_of(to, len), &back), CS_OK);
        cr_assert_geq(back, ms);
        cr_assert_lt(back - ms, 3600000);
    }
}

/* ---- grpc-message -------------------------------------------------------------------------- */

static void encoded(cs_bytes from, const char *expected)
{
    char to[WIRE_MESSAGE_ENCODED_MAX];
    size_t len = wire_percent_encode(to, from);

    cr_assert(cs_same(cs_bytes_of(to, len), cs_str(expected)), "%.*s, not %s", (int)len, to,
              expected);
}

static void decoded(const char *from, cs_bytes expected)
{
    char to[256];
    size_t len = wire_percent_decode(to, cs_str(from));

    cr_assert(cs_same(cs_bytes_of(to, len), expected), "%s", from);
}

Test(grpc_message, plain_text_stays)
{
    encoded(cs_str("no such service"), "no such service");
    encoded(cs_str(" !~"), " !~");
    encoded(cs_bytes_of(NULL, 0), "");
}

Test(grpc_message, all_else_is_percent_and_two_digits)
{
    encoded(cs_str("100%"), "100%25");
    encoded(BYTES("a\0b\n\x1f\x7f"), "a%00b%0A%1F%7F");
    encoded(cs_str("gr\xc3\xbc\xc3\x9f"), "gr%C3%BC%C3%9F");
}

Test(grpc_message, comes_back_from_its_escapes)
{
    decoded("100%25", cs_str("100%"));
    decoded("gr%C3%bc%c3%9F", cs_str("gr\xc3\xbc\xc3\x9f"));
    decoded("a%00b", BYTES("a\0b"));
    decoded("", cs_str(""));
}

Test(grpc_message, what_is_no_escape_stays)
{
    decoded("%", cs_str("%"));
    decoded("100%", cs_str("100%"));
    decoded("%4", cs_str("%4"));
    decoded("%4g%g4%%41", cs_str("%4g%g4%A"));
    decoded("%-1%+1% 1", cs_str("%-1%+1% 1"));
}

Test(grpc_message, is_decoded_where_it_lies)
{
    char text[] = "%41b%43%";
    size_t len = wire_percent_decode(text, cs_str(text));

    cr_assert(cs_same(cs_bytes_of(text, len), cs_str("AbC%")));
}

Test(grpc_message, every_byte_comes_back)
{
    char to[WIRE_MESSAGE_ENCODED_MAX];
    uint8_t all[256];

    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    size_t len = wire_percent_encode(to, cs_bytes_of(all, sizeof all));
    len = wire_percent_decode(to, cs_bytes_of(to, len));
    cr_assert(cs_same(cs_bytes_of(to, len), cs_bytes_of(all, sizeof all)));
}

/* How many of `len` bytes of `filler`, ending in `end`, are encoded. */
static size_t kept(size_t len, uint8_t filler, const char *end)
{
    char to[WIRE_MESSAGE_ENCODED_MAX];
    uint8_t *text = malloc(len);
    size_t n;

    memset(text, filler, len);
    memcpy(text + len - strlen(end), end, strlen(end));
    n = wire_percent_encode(to, cs_bytes_of(text, len));
    free(text);
    return wire_percent_decode(to, cs_bytes_of(to, n));
}

Test(grpc_message, is_cut_to_a_kilobyte_between_characters)
{
    cr_assert_eq(kept(1023, 'x', ""), 1023);
    cr_assert_eq(kept(1024, 'x', "\xf0\x9f\x98\x80"), 1024);
    cr_assert_eq(kept(1025, 'x', ""), 1024);
    cr_assert_eq(kept(1025, 'x', "\xc3\xbc"), 1023);
    cr_assert_eq(kept(1026, 'x', "\xe2\x82\xac"), 1023);
    cr_assert_eq(kept(1027, 'x', "\xf0\x9f\x98\x80"), 1023);
    cr_assert_eq(kept(1025, 'x', "\xf0\x9f\x98\x80"), 1021);
    cr_assert_eq(kept(5000, 0xff, ""), 1024);
    cr_assert_eq(kept(5000, 0x80, ""), 1024, "no characters at all: cut where it falls");
}

/* ---- base64 -------------------------------------------------------------------------------- */

static void base64_is(cs_bytes bytes, const char *text)
{
    char to[64];
    uint8_t back[64];
    size_t len = wire_base64_encode(to, bytes), back_len;

    cr_assert_eq(len, wire_base64_len(bytes.len));
    cr_assert(cs_same(cs_bytes_of(to, len), cs_str(text)), "%.*s, not %s", (int)len, to, text);
    cr_assert_eq(wire_base64_decode(back, cs_bytes_of(to, len), &back_len), CS_OK);
    cr_assert(cs_same(cs_bytes_of(back, back_len), bytes));
}

static void base64_means(const char *text, cs_bytes bytes)
{
    uint8_t to[64];
    size_t len;

    cr_assert_eq(wire_base64_decode(to, cs_str(text), &len), CS_OK, "%s", text);
    cr_assert(cs_same(cs_bytes_of(to, len), bytes), "%s", text);
}

static void no_base64(cs_bytes text)
{
    uint8_t to[64];
    size_t len = 77;

    cr_assert_eq(wire_base64_decode(to, text, &len), CS_EINVAL, "%.*s", CS_FMT(text));
    cr_assert_eq(len, 77, "a failed call wrote its answer");
}

/* RFC 4648, section 10, without the padding. */
Test(grpc_base64, has_the_vectors_of_the_rfc)
{
    base64_is(cs_str(""), "");
    base64_is(cs_str("f"), "Zg");
    base64_is(cs_str("fo"), "Zm8");
    base64_is(cs_str("foo"), "Zm9v");
    base64_is(cs_str("foob"), "Zm9vYg");
    base64_is(cs_str("fooba"), "Zm9vYmE");
    base64_is(cs_str("foobar"), "Zm9vYmFy");
    base64_is(BYTES("\0"), "AA");
    base64_is(BYTES("\xff\xfe\xfd\xfb\xef\xbe"), "//79++++");
}

Test(grpc_base64, is_read_with_padding_too)
{
    base64_means("Zg==", cs_str("f"));
    base64_means("Zm8=", cs_str("fo"));
    base64_means("Zm9v", cs_str("foo"));
    base64_means("Zm9vYg==", cs_str("foob"));
}

Test(grpc_base64, refuses_other_characters)
{
    no_base64(cs_str("Zm9-"));
    no_base64(cs_str("Zm9_"));
    no_base64(cs_str("Zm 8"));
    no_base64(cs_str("Zm8\n"));
    no_base64(cs_str("Zm9v,Zm9v"));
    no_base64(BYTES("Zm\0v"));
    no_base64(cs_str("Zm9\xff"));
}

Test(grpc_base64, refuses_impossible_lengths_and_padding)
{
    no_base64(cs_str("Z"));
    no_base64(cs_str("Zm9vY"));
    no_base64(cs_str("Zg="));
    no_base64(cs_str("Zm8=="));
    no_base64(cs_str("Zm9v="));
    no_base64(cs_str("Zm9v===="));
    no_base64(cs_str("Z==="));
    no_base64(cs_str("===="));
    no_base64(cs_str("="));
    no_base64(cs_str("=="));
    no_base64(cs_str("Zg==Zg=="));
}

Test(grpc_base64, every_length_comes_back)
{
    uint8_t bytes[48], back[64];
    char text[64];
    size_t back_len;

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + 5);
    for (size_t len = 0; len <= sizeof bytes; len++) {
        size_t n = wire_base64_encode(text, cs_bytes_of(bytes, len));
        cr_assert_eq(n, wire_base64_len(len));
        cr_assert_eq(wire_base64_decode(back, cs_bytes_of(text, n), &back_len), CS_OK);
        cr_assert(cs_same(cs_bytes_of(back, back_len), cs_bytes_of(bytes, len)));
        while (n % 4 != 0)
            text[n++] = '=';
        cr_assert_eq(wire_base64_decode(back, cs_bytes_of(text, n), &back_len), CS_OK);
        cr_assert(cs_same(cs_bytes_of(back, back_len), cs_bytes_of(bytes, len)));
    }
}
