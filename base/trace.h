/* trace -- what happened, as lines: the transcript that story tests compare.
 *
 * Room header.  Off (one branch) unless a test sets a sink.  A line has no time and no address in
 * it: the sink adds the virtual time. */
#ifndef CS_TRACE_H
#define CS_TRACE_H

#include "base/base.h"

typedef void cs_trace_fn(const char *line, void *user);
void cs_set_trace(cs_trace_fn *sink, void *user); /* NULL: off; tests only, one thread */
extern cs_trace_fn *cs_trace_sink;
void cs_trace_line(const char *format, ...) CS_PRINTF(1, 2);

#define CS_TRACE(...) (cs_trace_sink ? cs_trace_line(__VA_ARGS__) : (void)0)

#endif
