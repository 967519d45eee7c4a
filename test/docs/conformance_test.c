/* conformance -- every test that docs/CONFORMANCE names is there, every moment has a row, and every frame
 * has one that says what the tests of mux say. */
#include "test/docs/doc.h"
#include "test/mux/conform_states.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOMENTS = 23, MUSTS = 40 };

static bool is_in_tree(const char *pattern, const char *words)
{
    const char *source = getenv("CHANSERV_SOURCE");
    size_t root;
    char full[4096];
    bool found = false;
    glob_t files;

    snprintf(full, sizeof full, "%s/", source ? source : ".");
    root = strlen(full);
    snprintf(full + root, sizeof full - root, "%s", pattern);
    if (glob(full, 0, NULL, &files) != 0)
        return false;
    for (size_t i = 0; i < files.gl_pathc && !found; i++) {
        char *text = doc_read(files.gl_pathv[i] + root);

        found = strstr(text, words) != NULL;
        free(text);
    }
    globfree(&files);
    return found;
}

/* "suite/test", "test/room/program", or the tests of a client: "test/interop/js/file.js". */
static bool is_there(const char *name)
{
    const char *slash = strchr(name, '/');
    char words[256];

    cr_assert(slash, "%s names nothing", name);
    if (strstr(name, ".js"))
        return is_in_tree(name, "\ntest('");
    if (strncmp(name, "test/", 5) == 0) {
        snprintf(words, sizeof words, "%s.c", name);
        return is_in_tree(words, "int main(");
    }
    snprintf(words, sizeof words, "Test(%.*s, %s", (int)(slash - name), name, slash + 1);
    cr_assert_lt(strlen(words), sizeof words - 1);
    strcat(words, ")");
    if (is_in_tree("test/*/*_test.c", words))
        return true;
    words[strlen(words) - 1] = ','; /* it has a timeout */
    return is_in_tree("test/*/*_test.c", words);
}

/* How many there are in backquotes. */
static size_t names_are_there(cs_bytes cell)
{
    const char *at = cell.base, *end = at + cell.len, *close;
    size_t n = 0;

    while ((at = memchr(at, '`', (size_t)(end - at))) != NULL) {
        char name[200];

        close = memchr(at + 1, '`', (size_t)(end - at - 1));
        cr_assert(close && (size_t)(close - at) < sizeof name, "%.*s", CS_FMT(cell));
        snprintf(name, sizeof name, "%.*s", (int)(close - at - 1), at + 1);
        cr_assert(is_there(name), "there is no %s", name);
        at = close + 1;
        n++;
    }
    return n;
}

Test(conformance, what_it_names_is_there)
{
    char *page = doc_read("docs/CONFORMANCE");
    cs_bytes text = doc_section(page, "## Bad moments"), line, cells[DOC_CELLS];
    int rows = 0, number;

    while (doc_line(&text, &line)) {
        size_t n = doc_row(line, cells);

        if (n == 0 || (number = atoi(cells[0].base)) == 0)
            continue;
        cr_assert_eq(n, 3, "%.*s", CS_FMT(line));
        cr_assert_eq(number, ++rows, "%.*s", CS_FMT(line));
        cr_assert_gt(names_are_there(cells[2]), 0, "%d: nothing holds it", number);
    }
    cr_assert_eq(rows, MOMENTS);
    free(page);
}

/* ---- HTTP/2 --------------------------------------------------------------------------------- */

Test(conformance, what_must_be_is_held)
{
    char *page = doc_read("docs/CONFORMANCE");
    cs_bytes text = doc_section(page, "## HTTP/2: what must be"), line, cells[DOC_CELLS];
    int rows = 0;

    while (doc_line(&text, &line)) {
        size_t n = doc_row(line, cells);

        if (n == 0 || *(const char *)cells[0].base == '-' || cs_same(cells[0], cs_str("RFC 9113")))
            continue;
        cr_assert_eq(n, 4, "%.*s", CS_FMT(line));
        cr_assert_gt(names_are_there(cells[3]), 0, "%.*s", CS_FMT(line));
        rows++;
    }
    cr_assert_geq(rows, MUSTS);
    free(page);
}

/* The row of the frame in the table of that heading says the same, letter by letter. */
static void has_row(const char *page, const char *heading, const char *name, const char *letters)
{
    cs_bytes text = doc_section(page, heading), line, cells[DOC_CELLS];

    while (doc_line(&text, &line)) {
        size_t n = doc_row(line, cells);

        if (n == 0 || !cs_same(cells[0], cs_str(name)))
            continue;
        cr_assert_eq(n, CONFORM_STATES + 1, "%.*s", CS_FMT(line));
        for (int s = 0; s < CONFORM_STATES; s++)
            cr_assert(cs_same(cells[s + 1], cs_bytes_of(letters + s, 1)), "%s, %d: %s", heading, s,
                      name);
        return;
    }
    cr_assert_fail("%s: no row of %s", heading, name);
}

Test(conformance, what_frames_get_is_what_it_says)
{
    char *page = doc_read("docs/CONFORMANCE");

    for (size_t f = 0; f < CONFORM_FRAMES; f++) {
        has_row(page, "### What our server does", conform_frames[f].name, conform_frames[f].server);
        has_row(page, "### What our client does", conform_frames[f].name, conform_frames[f].client);
    }
    cr_assert(names_are_there(doc_section(page, "### What our server does")) == 1 &&
              names_are_there(doc_section(page, "### What our client does")) == 1);
    free(page);
}
