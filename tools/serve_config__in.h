/* serve_config__in -- the table of options, for those who read them. */
#ifndef TOOLS_SERVE_CONFIG__IN_H
#define TOOLS_SERVE_CONFIG__IN_H

#include "tools/serve_config.h"

enum config_unit {
    CONFIG_FLAG,     /* bool */
    CONFIG_TEXT,     /* struct config_text */
    CONFIG_LIST,     /* struct config_list: may be repeated */
    CONFIG_DURATION, /* int, milliseconds */
    CONFIG_BYTES,    /* int64_t */
    CONFIG_COUNT,    /* int64_t */
    CONFIG_LOOPS,    /* int, 1..255 */
    CONFIG_MICROS    /* int, microseconds, at most CS_BUSY_POLL_MAX_US */
};

struct config_option {
    const char *name;
    enum config_unit unit;
    size_t offset; /* in struct serve_config */
};

const struct config_option *config__find(cs_bytes name, size_t *ret_i); /* NULL: no such */

/* `text` NULL: a flag of the command line.  0, or TOOL_USAGE, having said what is wrong. */
int config__set(struct serve_config *config, const struct config_option *option, const char *text,
                unsigned line);

/* Reads config->file. */
int config__read_file(struct serve_config *config);

#endif
