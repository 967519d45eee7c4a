/* limits -- what a connection bounds: one table, a row a limit, all of them on unless switched off.
 *
 *   option    the field of struct mux_options: 0 is the standard, CS_OFF (-1) switches it off
 *   unit      MS: int, milliseconds;  BYTES, COUNT: int64_t
 *   standard  what 0 means
 *   name      as `chanserv serve` has it: --NAME, and "NAME = value" in its file
 *   counter   of struct chanserv_counters (and of MUX_STATS): how often it was reached
 *   counted   what that counts
 *   beyond    what it bounds, and what happens then
 *
 * From it come the fields, the counters, the options of the tool and the list that test/attack is
 * held to; docs/OPERATIONS is compared with it.
 *
 * BUCKETS    The rows from resets_max to unknown_max bound what a peer may do in a row without any
 *            good: a tenth of the number comes back each second.  Opening a stream, and what we
 *            send, pays for the frames that go with it: see mux/calm.c.  Beyond: GOAWAY
 *            ENHANCE_YOUR_CALM whose text is the name of the option, one line in the log (info),
 *            and the connection ends a second later, or when the peer hangs up.
 */
#ifndef MUX_LIMITS_H
#define MUX_LIMITS_H

/* clang-format off */
#define MUX_LIMITS(ROW, X) \
    ROW(X, message_max_bytes, BYTES, 4 << 20, "message-max", messages_refused, \
        "messages over message_max_bytes", \
        "a message, judged by its prefix and again unpacked: its stream ends RESOURCE_EXHAUSTED, too-large") \
    ROW(X, header_max_bytes, BYTES, 64 << 10, "fields-max", headers_refused, \
        "header lists over header_max_bytes", \
        "header fields, 32 bytes more each: the rest is passed over, the call ends RESOURCE_EXHAUSTED") \
    ROW(X, header_fields_max, COUNT, 256, "header-fields-max", header_fields_refused, \
        "header lists of more than header_fields_max fields", \
        "header fields, by number: the same") \
    ROW(X, streams_max, COUNT, 1 << 20, "streams-max", streams_refused, \
        "streams refused: streams_max, or their connection goes", \
        "streams at once of the peer: REFUSED_STREAM, or PROTOCOL_ERROR when it knows the limit") \
    ROW(X, window_grow_bytes, BYTES, 64 << 20, "window-grow", windows_kept, \
        "times a window did not grow because of window_grow_bytes", \
        "growth of all windows of a connection together: they stay as they are") \
    ROW(X, connection_memory_bytes, BYTES, 64 << 20, "connection-memory", memory_refused, \
        "streams refused or ended: connection_memory_bytes", \
        "header lists, messages not whole, announcements and answers that wait, a quarter each: one more " \
        "stream is reset ENHANCE_YOUR_CALM, a message waits or ends RESOURCE_EXHAUSTED, announce says " \
        "CS_AGAIN, or nothing is read") \
    ROW(X, handshake_timeout_ms, MS, 10000, "handshake-timeout", handshake_timeouts, \
        "TLS handshakes that took longer than handshake_timeout_ms", \
        "from accept to the end of TLS's handshake: the connection is closed") \
    ROW(X, preface_timeout_ms, MS, 10000, "preface-timeout", preface_timeouts, \
        "connections whose peer did not begin HTTP/2 within preface_timeout_ms", \
        "until the first frame is there: the connection is closed") \
    ROW(X, header_timeout_ms, MS, 10000, "header-timeout", header_timeouts, \
        "connections that ended in a header block older than header_timeout_ms", \
        "from HEADERS to its END_HEADERS: GOAWAY, and the connection ends") \
    ROW(X, stall_timeout_ms, MS, 30000, "stall-timeout", streams_stalled, \
        "streams ended because their window was never opened", \
        "something to send and never a byte of window: it ends RESOURCE_EXHAUSTED, stalled") \
    ROW(X, idle_timeout_ms, MS, 600000, "idle-timeout", connections_idle, \
        "connections told to go: no stream for idle_timeout_ms", \
        "a server's connection without any stream: it is rolled over") \
    ROW(X, control_max, COUNT, 512, "control-max", reads_paused, \
        "times reading stopped until answers that were left unread could be written", \
        "answers to SETTINGS and PING that the peer leaves unread: nothing is read until they went out") \
    ROW(X, resets_max, COUNT, 20000, "resets-max", cut_resets, \
        "connections cut: resets_max", \
        "resets, by the peer or for want of a place, of streams that had no answer yet") \
    ROW(X, faults_max, COUNT, 100, "faults-max", cut_faults, \
        "connections cut: faults_max", \
        "resets by us that the peer's mistakes made, and header lists that are too long") \
    ROW(X, settings_max, COUNT, 100, "settings-max", cut_settings, \
        "connections cut: settings_max", "frames SETTINGS and GOAWAY") \
    ROW(X, pings_max, COUNT, 1000, "pings-max", cut_pings, \
        "connections cut: pings_max", "frames PING; paid by streams and frames that we send") \
    ROW(X, empty_data_max, COUNT, 1000, "empty-data-max", cut_empty_data, \
        "connections cut: empty_data_max", "frames DATA of nothing, or nothing but padding, that end nothing") \
    ROW(X, priorities_max, COUNT, 1000, "priorities-max", cut_priorities, \
        "connections cut: priorities_max", "frames PRIORITY and PRIORITY_UPDATE; paid by streams and frames that we send") \
    ROW(X, window_updates_max, COUNT, 10000, "window-updates-max", cut_window_updates, \
        "connections cut: window_updates_max", "frames WINDOW_UPDATE; paid by streams and bytes that we send") \
    ROW(X, unknown_max, COUNT, 1000, "unknown-max", cut_unknown, \
        "connections cut: unknown_max", \
        "frames of unknown types, and RST_STREAM; paid by streams and frames that we send") \
    ROW(X, continuations_max, COUNT, 16, "continuations-max", cut_continuations, \
        "connections cut: continuations_max", "frames CONTINUATION of one header block; no bucket")
/* clang-format on */

#define MUX_LIMIT_MS int
#define MUX_LIMIT_BYTES int64_t
#define MUX_LIMIT_COUNT int64_t
#define MUX_LIMIT_FIELD(X, option, unit, standard, name, counter, counted, beyond)                 \
    MUX_LIMIT_##unit option;
#define MUX_LIMIT_COUNTER(X, option, unit, standard, name, counter, counted, beyond)               \
    X(counter, counted)

/* X(name, help) of each row's counter. */
#define MUX_LIMIT_COUNTERS(X) MUX_LIMITS(MUX_LIMIT_COUNTER, X)

#endif
