/* request -- what is asked: from its head to the handler, and what can be said without one.
 *
 *     COMES ──▶ ASKED ──▶ ANSWERS ──▶ LAST ──▶ OVER ──▶ end() ──▶ gone
 *       └─────────┴── error ──────────┘  ▲       ▲
 *                     the client left ───┴───────┘
 */
#include "gateway/gateway__in.h"
#include "gateway/url__in.h"
#include "gateway/web__in.h"
#include "mux/behalf.h"
#include "proto/status.h"

static void on_task(cs_task *task);

/* ---- Made and gone ------------------------------------------------------------------------------- */

cs_err gateway__request_new(gateway *gw, const struct gateway__transport *transport, void *carrier,
                            const struct mux_peer *peer, gateway_request **ret)
{
    gateway_request *request = gw->freed ? NULL : cs_zalloc(sizeof *request);

    if (!request)
        return CS_ENOMEM;
    if (!(request->peer = mux_peer_dup(peer))) {
        cs_free(request);
        return CS_ENOMEM;
    }
    chanserv_server_foreign(gw->server)->http_requests++;
    request->gateway = gw;
    request->transport = transport;
    request->carrier = carrier;
    cs_task_init(&request->task, on_task);
    cs_list_push(&gw->requests, &request->link);
    *ret = request;
    return CS_OK;
}

static void request_free(gateway_request *request)
{
    gateway *gw = request->gateway;

    cs_unlink(&request->link);
    cs_task_drop(&request->task);
    cs_timer_free(request->timer);
    gateway__reply_fini(request);
    cs_buf_fini(&request->body);
    cs_free(request->params);
    cs_free(request->params_text);
    cs_free(request->behalf);
    cs_free(request->fields);
    cs_free(request->texts);
    cs_free(request->state_block);
    cs_free(request->peer);
    cs_free(request);
    gateway__let_go(gw);
}

static void on_task(cs_task *task)
{
    gateway_request *request = CS_CONTAINER(task, gateway_request, task);

    if (request->stage != GATEWAY__OVER) {
        gateway__request_pump(request);
        return;
    }
    if (request->ops && request->ops->end)
        request->ops->end(request, request->why, request->state);
    request_free(request);
}

void gateway__request_over(gateway_request *request, cs_err why)
{
    request->transport = NULL;
    request->stage = GATEWAY__OVER;
    request->why = why;
    cs_task_drop(&request->task);
    cs_task_post(request->gateway->loop, CS_CALL, &request->task);
}

void gateway__request_abort(gateway_request *request, cs_err why)
{
    if (request->transport)
        request->transport->abort(request->carrier, why);
    gateway__request_over(request, why);
}

void gateway__request_left(gateway_request *request, cs_err why)
{
    gateway__request_over(request, why == CS_OK || why == CS_DONE ? CS_EPEER : why);
}

/* ---- The head ------------------------------------------------------------------------------------ */

static cs_err copy_head(gateway_request *request, const struct gateway__head *head)
{
    size_t bytes = head->method.len + 2 * head->target.len + head->authority.len + 1;
    char *to;

    for (size_t i = 0; i < head->fields_len; i++)
        bytes += head->fields[i].name.len + head->fields[i].value.len;
    request->texts = to = cs_alloc(bytes);
    request->fields = cs_alloc((head->fields_len + 1) * sizeof *request->fields);
    if (!to || !request->fields)
        return CS_ENOMEM;
    request->method = cs_bytes_put(&to, head->method);
    request->authority = cs_bytes_put(&to, head->authority);
    for (size_t i = 0; i < head->fields_len; i++) {
        cs_pair *field = &request->fields[request->fields_len++];

        field->name = cs_bytes_put(&to, head->fields[i].name);
        field->value = cs_bytes_put(&to, head->fields[i].value);
    }
    request->query = cs_bytes_put(&to, head->target); /* until it is cut in two */
    request->path = cs_bytes_of(to, 0);
    return CS_OK;
}

/* Of a call of gRPC all that may be metadata; but who is at the other end is for us to say. */
static bool goes_on(const gateway_request *request, const cs_pair *field)
{
    const cs_bytes name = field->name;

    if (!mux_metadata_ok(name, field->value))
        return false;
    return request->web.is ? !cs_same(name, cs_str(MUX_BEHALF))
                           : cs_same(name, cs_str("authorization")) ||
                                 (name.len > 2 && memcmp(name.base, "x-", 2) == 0);
}

/* What stands as base64 in HTTP is bytes in metadata; what is none is left as it came. */
static cs_err choose_behalf(gateway_request *request)
{
    const size_t n = request->fields_len;
    size_t bytes = 0, len;
    uint8_t *to;

    for (size_t i = 0; i < n; i++)
        bytes += gateway__is_binary(request->fields[i].name) ? request->fields[i].value.len : 0;
    request->behalf = cs_alloc((n + 1) * sizeof *request->behalf + bytes);
    if (!request->behalf)
        return CS_ENOMEM;
    to = (uint8_t *)(request->behalf + n + 1);
    for (size_t i = 0; i < n; i++) {
        const cs_pair *field = &request->fields[i];
        cs_pair *pair = &request->behalf[request->behalf_len];

        if (!goes_on(request, field))
            continue;
        *pair = *field;
        request->behalf_len++;
        if (gateway__is_binary(field->name) &&
            wire_base64_decode(to, field->value, &len) == CS_OK) {
            pair->value = cs_bytes_of(to, len);
            to += len;
        }
    }
    return CS_OK;
}

/* CS_EINVAL: no path of ours. */
static cs_err cut_target(gateway_request *request)
{
    const cs_bytes target = request->query;
    const char *mark = target.len ? memchr(target.base, '?', target.len) : NULL;
    const size_t len = mark ? (size_t)(mark - (const char *)target.base) : target.len;
    char *to = (char *)(uintptr_t)request->path.base;

    request->query = mark ? cs_bytes_of(mark + 1, target.len - len - 1) : cs_bytes_of(NULL, 0);
    if (cs_same(target, cs_str("*"))) {
        request->path = target;
        return cs_same(request->method, cs_str("OPTIONS")) ? CS_OK : CS_EINVAL;
    }
    return gateway__url_path(cs_bytes_of(target.base, len), to, &request->path);
}

static bool is_guarded(gateway_request *request, bool is_tls)
{
    const struct gateway__asks asks = {.authority = request->authority,
                                       .origin = request->origin,
                                       .fetch_site = gateway_header(request, "sec-fetch-site"),
                                       .fetch_mode = gateway_header(request, "sec-fetch-mode"),
                                       .is_tls = is_tls};
    const char *words = gateway__guard(request->gateway, &asks, &request->cross);

    if (words)
        gateway__request_reject(request, 403, CS_EPERM, words);
    return !words;
}

/* RFC 9110, 9.3.7; and of a page that asks first (Fetch, "CORS-preflight request"). */
static void answer_options(gateway_request *request, const char *allow)
{
    const cs_bytes wanted = gateway_header(request, "access-control-request-headers");
    const cs_bytes nearer = gateway_header(request, "access-control-request-private-network");

    (void)gateway_set_header(request, "allow", cs_str(allow));
    if (request->cross) {
        (void)gateway_set_header(request, "access-control-allow-methods", cs_str(allow));
        (void)gateway_set_header(request, "access-control-max-age", cs_str("600"));
        if (wanted.len > 0)
            (void)gateway_set_header(request, "access-control-allow-headers", wanted);
        if (nearer.len > 0)
            (void)gateway_set_header(request, "access-control-allow-private-network",
                                     cs_str("true"));
    }
    gateway__reply(request, 204, NULL, cs_bytes_of(NULL, 0));
}

static bool is_routed(gateway_request *request)
{
    struct gateway__found found;

    if (cs_same(request->path, cs_str("*"))) {
        answer_options(request, "GET, HEAD, POST, OPTIONS");
        return false;
    }
    if (request->web.is) {
        request->handler = gateway__web;
        return true;
    }
    if (cs_same(request->method, cs_str("OPTIONS")) && gateway__web_has(request)) {
        answer_options(request, "POST, OPTIONS");
        return false;
    }
    gateway__routes_find(request->gateway, request->method, request->path, &found);
    request->handler = found.handler;
    request->user = found.user;
    request->rest_at = found.rest;
    if (found.handler && !cs_same(request->method, cs_str("OPTIONS")))
        return true;
    if (!found.allow[0]) {
        gateway__request_reject(request, 404, CS_ENOENT, "there is nothing at this path");
    } else if (cs_same(request->method, cs_str("OPTIONS"))) {
        answer_options(request, found.allow);
    } else {
        (void)gateway_set_header(request, "allow", cs_str(found.allow));
        gateway__request_reject(request, 405, CS_ENOTSUP, "not with this method");
    }
    return false;
}

static bool is_too_big(gateway_request *request, int64_t bytes)
{
    if (bytes <= request->gateway->options.body_max_bytes)
        return false;
    gateway__request_reject(request, 413, CS_ETOOBIG, "the body is over body_max_bytes");
    return true;
}

static void on_timeout(void *user)
{
    gateway__request_reject(user, 408, CS_ETIMEOUT, "the body did not come in time");
}

static bool waits(gateway_request *request)
{
    const int ms = request->gateway->options.request_timeout_ms;

    if (ms != CS_FOREVER &&
        cs_timer_new(request->gateway->loop, on_timeout, request, &request->timer) != CS_OK) {
        gateway__request_abort(request, CS_ENOMEM);
        return false;
    }
    if (request->timer)
        cs_timer_set(request->timer, ms);
    return true;
}

bool gateway__request_head(gateway_request *request, const struct gateway__head *head)
{
    if (copy_head(request, head) != CS_OK) {
        gateway__request_abort(request, CS_ENOMEM);
        return false;
    }
    request->is_head = cs_same(request->method, cs_str("HEAD"));
    request->origin = gateway_header(request, "origin");
    if (!is_guarded(request, head->is_tls))
        return false;
    request->web = gateway__web_of(request);
    if (choose_behalf(request) != CS_OK) {
        gateway__request_abort(request, CS_ENOMEM);
        return false;
    }
    if (cut_target(request) != CS_OK) {
        gateway__request_reject(request, 400, CS_EINVAL, "this is no path");
        return false;
    }
    return is_routed(request) && !is_too_big(request, head->length) && waits(request);
}

/* ---- The body, and the handler --------------------------------------------------------------------- */

bool gateway__request_body(gateway_request *request, cs_bytes piece)
{
    if (is_too_big(request, (int64_t)(request->body.len + piece.len)))
        return false;
    if (cs_buf_add(&request->body, piece) == CS_OK)
        return true;
    gateway__request_abort(request, CS_ENOMEM);
    return false;
}

/* What the handler said, made good. */
static void judge(gateway_request *request, cs_err err)
{
    const bool answered = request->stage > GATEWAY__ASKED;

    if (err == CS_AGAIN ? !request->ops && !answered : !cs_failed(err) && !answered)
        err = CS_EMISUSE;
    if (cs_failed(err) && request->stage != GATEWAY__OVER)
        gateway__request_error(request, gateway_status_of(err), err, request->words);
    else if (request->stage == GATEWAY__ANSWERS)
        gateway__request_pump(request);
}

void gateway__request_end(gateway_request *request)
{
    char why[CHANSERV_WHY_MAX];
    cs_err err;

    cs_timer_free(request->timer);
    request->timer = NULL;
    if ((err = gateway__params_read(request, why)) != CS_OK) {
        gateway__request_reject(request, gateway_status_of(err), err, why);
        return;
    }
    request->stage = GATEWAY__ASKED;
    request->in_handler = true;
    err = request->handler(request, request->user);
    request->in_handler = false;
    judge(request, err);
}

void gateway__request_refuse(gateway_request *request, int status, const char *message)
{
    const cs_err err = status == 408                    ? CS_ETIMEOUT
                       : status == 413                  ? CS_ETOOBIG
                       : status == 501 || status == 505 ? CS_ENOTSUP
                       : status == 431                  ? CS_ELIMIT
                                                        : CS_EINVAL;

    gateway__request_reject(request, status, err, message);
}

cs_err gateway_keep(gateway_request *request, const struct gateway_reply_ops *ops, void *state)
{
    for (size_t i = 0; i < sizeof ops->reserved / sizeof *ops->reserved; i++)
        if (ops->reserved[i])
            return CS_EMISUSE;
    if (!request->in_handler || request->ops)
        return CS_EMISUSE;
    if (ops->state_bytes) {
        if (!(request->state_block = cs_zalloc(ops->state_bytes)))
            return CS_ENOMEM;
        if (state)
            memcpy(request->state_block, state, ops->state_bytes);
        state = request->state_block;
    }
    request->ops = ops;
    request->state = state;
    return CS_OK;
}
