# tools: chanserv(1), linked as users link.
bin_PROGRAMS += tools/chanserv
# It watches descriptors of its own on the loop (tools/loop_watch.c).
tools_chanserv_LDFLAGS = -pthread $(SANITIZERS) $(LTO) $(PIE) $(RELRO)
tools_chanserv_LDADD = libtools.a libchanserv-rendezvous.la libchanserv-gateway.la libchanserv.la $(EVENT_LIBS)
tools_chanserv_SOURCES = tools/main.c

# All of it but main(), for the tests.
noinst_LIBRARIES += libtools.a
# files: tools/*.c tools/*.h !tools/main.c
libtools_a_SOURCES = \
	tools/auth.c \
	tools/auth.h \
	tools/auth__in.h \
	tools/auth_rules.c \
	tools/bench.c \
	tools/bench.h \
	tools/bench_run.c \
	tools/connect.c \
	tools/connect.h \
	tools/connect_options.c \
	tools/environment.c \
	tools/environment.h \
	tools/exec.h \
	tools/exec_in.c \
	tools/exec_out.c \
	tools/field.c \
	tools/field.h \
	tools/follow.c \
	tools/follow.h \
	tools/gen.h \
	tools/interrupt.c \
	tools/interrupt.h \
	tools/json.h \
	tools/kind.h \
	tools/kind_echo.c \
	tools/kind_exec.c \
	tools/kind_gen.c \
	tools/kind_stdin.c \
	tools/kind_tail.c \
	tools/latency.c \
	tools/latency.h \
	tools/lines.c \
	tools/lines.h \
	tools/log.c \
	tools/log.h \
	tools/loop_watch.c \
	tools/loop_watch.h \
	tools/meet.c \
	tools/notify.c \
	tools/notify.h \
	tools/options.c \
	tools/post.c \
	tools/post__in.h \
	tools/post_options.c \
	tools/print.c \
	tools/print.h \
	tools/process.c \
	tools/process.h \
	tools/rtt.c \
	tools/serve.c \
	tools/serve__in.h \
	tools/serve_check.c \
	tools/serve_config.c \
	tools/serve_config.h \
	tools/serve_config__in.h \
	tools/serve_file.c \
	tools/serve_parts.c \
	tools/serve_signals.c \
	tools/service_list.c \
	tools/service_list.h \
	tools/services.c \
	tools/services.h \
	tools/services_say.c \
	tools/stat.c \
	tools/stat_ask.c \
	tools/stat_ask.h \
	tools/stat_cell.c \
	tools/stat_cell.h \
	tools/stat_list.c \
	tools/stat_list.h \
	tools/status.c \
	tools/tail.h \
	tools/tail_begin.c \
	tools/tail_dir.c \
	tools/tail_file.c \
	tools/tail_open.c \
	tools/tail_place.c \
	tools/tail_place.h \
	tools/talk.c \
	tools/tool.h \
	tools/top.c \
	tools/top__in.h \
	tools/top_put.c \
	tools/top_rows.c \
	tools/top_screen.c

# Completion, under the name that bash looks for.
bashcompdir = $(datadir)/bash-completion/completions
bashcomp_DATA = tools/completions/chanserv
EXTRA_DIST += tools/completion.bash
CLEANFILES += tools/completions/chanserv
tools/completions/chanserv: tools/completion.bash
	$(AM_V_GEN)$(MKDIR_P) tools/completions && cat $(srcdir)/tools/completion.bash > $@.tmp && \
		mv $@.tmp $@
