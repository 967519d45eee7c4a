/* conformance -- every test that docs/CONFORMANCE names is there, and every moment has a row. */
#include "test/docs/doc.h"

#include <criterion/criterion.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOMENTS = 23 };

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

/* "suite/test", or "test/room/program". */
static bool is_there(const char *name)
{
    const char *slash = strchr(name, '/');
    char words[256];

    cr_assert(slash, "%s names nothing", name);
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
    cs_bytes text = cs_str(page), line, cells[DOC_CELLS];
    int rows = 0, number;

    while (doc_line(&text, &line)) {
        size_t n = doc_row(line, cells);

        if (n == 0 || (number = atoi(cells[0].base)) == 0)
            continue;
        cr_assert_eq(n, 3, "%.*s", CS_FMT(line));
        cr_assert_eq(number, ++rows, "%.*s", CS_FMT(line));
        cr_assert(names_are_there(cells[2]) > 0 ||
                      (cells[2].len >= 7 && memcmp(cells[2].base, "not yet", 7) == 0),
                  "%d: nothing holds it", number);
    }
    cr_assert_eq(rows, MOMENTS);
    free(page);
}
