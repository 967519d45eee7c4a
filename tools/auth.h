/* auth -- who may use what of `chanserv serve`: tokens, certificates' names, this machine's users.
 *
 *     token      "authorization: Bearer TOKEN" of the call
 *     san        a name of the verified certificate of the connection
 *     uid        the user at the other end of a unix socket
 *
 * Each rule says for which services it admits.  A caller may do what any rule of any kind admits;
 * without a rule everybody may do everything.  For methods of the server's own the path stands in
 * the service's place.
 */
#ifndef TOOLS_AUTH_H
#define TOOLS_AUTH_H

#include "chanserv/chanserv.h"

struct auth;
enum { AUTH_TOKEN_MAX = 256, AUTH_RULES_MAX = 4096 };

struct auth *auth_new(void); /* NULL: no memory */
void auth_free(struct auth *auth);

/* Rules are added; CS_EINVAL and others come with words in `why`.
 *   token file  lines "TOKEN GLOB[,GLOB...]"; empty ones and those that begin with # mean nothing.
 *               Reading one again takes what it said before away, unless that fails.  Its words
 *               begin with "FILE:LINE: "
 *   san         "SAN-GLOB[=GLOB,...]", SAN-GLOB as in struct mux_peer: "DNS:*.example"
 *   uid         "UID[=GLOB,...]", or the user's name */
cs_err auth_read_tokens(struct auth *auth, const char *file, char *why, size_t why_len);
cs_err auth_add_san(struct auth *auth, const char *text, char *why, size_t why_len);
cs_err auth_add_uid(struct auth *auth, const char *text, char *why, size_t why_len);
bool auth_has_rules(const struct auth *auth);
bool auth_has_tokens(const struct auth *auth); /* a file may have none */

/* A chanserv_authorise_fn; `user` is the struct auth.  CS_EAUTH when no rule knows the caller and
 * some other identity would do, with words for which; CS_EPERM when one knows him, but not for
 * this. */
cs_err auth_judge(const struct chanserv_request *request, void *user);

#endif
