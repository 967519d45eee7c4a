/* JSON strings: what is escaped, what is text, base64. */
#include "gateway/json.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

static void write_to(void *to, const void *bytes, size_t len)
{
    fwrite(bytes, 1, len, to);
}

static void put_string(FILE *to, cs_bytes b)
{
    gateway_json_string(write_to, to, b);
}

static void put_base64(FILE *to, cs_bytes b)
{
    gateway_json_base64(write_to, to, b);
}

static void expect(void (*put)(FILE *to, cs_bytes b), cs_bytes b, const char *want)
{
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);

    cr_assert_not_null(to);
    put(to, b);
    fclose(to);
    cr_assert_str_eq(text, want);
    free(text);
}

static void expect_string(const char *b, size_t len, const char *want)
{
    expect(put_string, cs_bytes_of(b, len), want);
}

Test(json, strings_are_escaped_as_the_rfc_wants)
{
    expect_string("", 0, "\"\"");
    expect_string("plain", 5, "\"plain\"");
    expect_string("a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"");
    expect_string("\b\t\n\f\r", 5, "\"\\b\\t\\n\\f\\r\"");
    expect_string("\0\x1f\x7f", 3, "\"\\u0000\\u001f\\u007f\"");
    expect_string("sch\xc3\xb6n \xf0\x9f\x98\x80", 11, "\"sch\xc3\xb6n \xf0\x9f\x98\x80\"");
}

Test(json, what_is_not_utf8_is_replaced_byte_by_byte)
{
    expect_string("a\xff"
                  "b\xc3",
                  4, "\"a\\ufffdb\\ufffd\"");
}

Test(json, utf8_is_whole_shortest_and_without_surrogates)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xe2\x82",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "a\xc3(",
                                      "\xe2\x28\xa1"};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_assert(gateway_is_utf8(cs_str(good[i])), "good %zu", i);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not(gateway_is_utf8(cs_str(bad[i])), "bad %zu", i);
}

Test(json, base64_is_padded)
{
    static const char *const want[] = {"\"\"", "\"Zg==\"", "\"Zm8=\"", "\"Zm9v\"", "\"Zm9vYg==\""};

    for (size_t n = 0; n < sizeof want / sizeof *want; n++)
        expect(put_base64, cs_bytes_of("foobar", n), want[n]);
    expect(put_base64, cs_bytes_of("\xfb\xff\xfe", 3), "\"+//+\"");
}

Test(json, long_base64_is_one)
{
    char bytes[1000], want[1400] = "\"";
    char *text = NULL;
    size_t len;
    FILE *to = open_memstream(&text, &len);

    memset(bytes, 0, sizeof bytes);
    gateway_json_base64(write_to, to, cs_bytes_of(bytes, 999));
    fclose(to);
    memset(want + 1, 'A', 1332);
    strcat(want, "\"");
    cr_assert_str_eq(text, want);
    free(text);
}

static void put_text(FILE *to, cs_bytes b)
{
    gateway_json_member(write_to, to, "text", b);
}

static void put_header(FILE *to, cs_bytes b)
{
    gateway_json_member(write_to, to, "header", b);
}

Test(json, a_member_is_text_when_it_can_be)
{
    expect(put_text, cs_str("a\n"), "\"text\":\"a\\n\"");
    expect(put_text, cs_bytes_of("\xff", 1), "\"base64\":\"/w==\"");
    expect(put_header, cs_str("h"), "\"header\":\"h\"");
    expect(put_header, cs_bytes_of("\xff", 1), "\"header_base64\":\"/w==\"");
}

static void put_lines(FILE *to, cs_bytes b)
{
    gateway_json_announce(write_to, to, 7, b, NULL);
    putc('\n', to);
    gateway_json_announce(write_to, to, CS_OFF, b, "/u");
    putc('\n', to);
    gateway_json_frame(write_to, to, 7, UINT64_MAX, b);
    putc('\n', to);
    gateway_json_frame(write_to, to, CS_OFF, 0, cs_bytes_of("\xff", 1));
    putc('\n', to);
    gateway_json_gap(write_to, to, 0, 3);
    putc('\n', to);
    gateway_json_end(write_to, to, 0, CS_DONE, "unsaid");
    putc('\n', to);
    gateway_json_end(write_to, to, CS_OFF, CS_ELOST, "a\"b");
    putc('\n', to);
    gateway_json_end(write_to, to, CS_OFF, CS_EPERM, "");
}

Test(json, the_lines_of_a_post)
{
    expect(put_lines, cs_str("h"),
           "{\"announce\":{\"source\":7,\"header\":\"h\"}}\n"
           "{\"announce\":{\"header\":\"h\",\"url\":\"/u\"}}\n"
           "{\"frame\":{\"source\":7,\"seq\":18446744073709551615,\"text\":\"h\"}}\n"
           "{\"frame\":{\"seq\":0,\"base64\":\"/w==\"}}\n"
           "{\"gap\":{\"source\":0,\"count\":3}}\n"
           "{\"end\":{\"source\":0,\"code\":\"OK\"}}\n"
           "{\"end\":{\"code\":\"DATA_LOSS\",\"message\":\"a\\\"b\"}}\n"
           "{\"end\":{\"code\":\"PERMISSION_DENIED\"}}");
}
