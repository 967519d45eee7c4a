/* doc -- what stands in a page of docs/, for the tests that hold it to the code.
 *
 * A block is what stands between "```WORD NAME" and "```".  Bytes are written as pairs of hex
 * digits, or ".." for one that may be anything, with a space between; what follows two spaces is a
 * comment.
 */
#ifndef TEST_DOCS_DOC_H
#define TEST_DOCS_DOC_H

#include "base/base.h"

/* The whole page, NUL-terminated; yours to free.  Fails the test when there is none. */
char *doc_read(const char *path);

/* The next block of that word behind `*at`, which moves on; false: no more. */
struct doc_block {
    char name[64];
    cs_bytes text;
};
bool doc_next(const char **at, const char *word, struct doc_block *ret);

/* The next line of `*text`, without its newline, which moves on; false: no more. */
bool doc_line(cs_bytes *text, cs_bytes *ret);

/* The text behind the heading, to the next one of its level or above; fails the test when there
 * is none. */
cs_bytes doc_section(const char *page, const char *heading);
bool doc_has(cs_bytes text, const char *words);

/* A row of a table, "| a | b |": its cells without the spaces around; 0: this is none. */
enum { DOC_CELLS = 10 };
size_t doc_row(cs_bytes line, cs_bytes cells[DOC_CELLS]);

/* Bytes with holes. */
struct doc_bytes {
    uint8_t bytes[4096], any[4096];
    size_t len;
};
void doc_hex(struct doc_bytes *to, cs_bytes line); /* appends what the line has */
bool doc_same(const struct doc_bytes *said, cs_bytes is);
char *doc_dump(cs_bytes bytes); /* "0a 03 67"; yours to free */

#endif
