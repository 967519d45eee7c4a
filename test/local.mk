# test: mirrors the rooms.  Every test speaks TAP, so that make check counts each single one.

TEST_EXTENSIONS = .sh
LOG_DRIVER = env AM_TAP_AWK='$(AWK)' $(SHELL) $(top_srcdir)/build-aux/tap-driver.sh
LOG_COMPILER = $(top_srcdir)/test/criterion.sh
SH_LOG_DRIVER = $(LOG_DRIVER)
# A script answers with its status too, for people; counted once is enough.
AM_SH_LOG_DRIVER_FLAGS = --ignore-exit

AM_TESTS_ENVIRONMENT = \
	ASAN_OPTIONS=abort_on_error=1:detect_leaks=1:$$ASAN_OPTIONS; export ASAN_OPTIONS; \
	UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:$$UBSAN_OPTIONS; export UBSAN_OPTIONS; \
	TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1:$$TSAN_OPTIONS; export TSAN_OPTIONS; \
	CHANSERV_BUILD='$(abs_top_builddir)'; export CHANSERV_BUILD; \
	CHANSERV_SOURCE='$(abs_top_srcdir)'; export CHANSERV_SOURCE; \
	MAKE='$(MAKE)'; export MAKE; CC='$(CC)'; export CC; \
	SANITIZERS='$(SANITIZERS)'; export SANITIZERS; \
	THREAD_PROGRAMS='$(thread_programs)'; export THREAD_PROGRAMS; \
	FUZZ_PROGRAMS='$(fuzz_programs)'; export FUZZ_PROGRAMS;

# ---- The rooms, each linked with what it may know and no more ---------------------------------
#
# The support is an archive: a test of base that uses nothing of it that needs mux links without.

check_LIBRARIES += libsupport.a
# files: test/support/*.c test/support/*.h !test/support/proxy*
libsupport_a_SOURCES = \
	test/support/cable.c \
	test/support/cable.h \
	test/support/certs.c \
	test/support/certs.h \
	test/support/dial.c \
	test/support/dial.h \
	test/support/failing.c \
	test/support/failing.h \
	test/support/fake_peer.c \
	test/support/fake_peer.h \
	test/support/stranger.c \
	test/support/stranger.h \
	test/support/wire_peer.c \
	test/support/wire_peer.h

test_base_CPPFLAGS = $(AM_CPPFLAGS) $(CRITERION_CFLAGS)
test_base_LDADD = libsupport.a $(BASE_LIBS) $(CRITERION_LIBS)
# files: test/base/*.c test/base/*.h
test_base_SOURCES = \
	test/base/chan_select_test.c \
	test/base/chan_test.c \
	test/base/chan_watch_test.c \
	test/base/err_test.c \
	test/base/histogram_test.c \
	test/base/loop_sleep_test.c \
	test/base/loop_test.c \
	test/base/map_test.c \
	test/base/mem_test.c \
	test/base/pool_test.c \
	test/base/ref_test.c \
	test/base/row_test.c \
	test/base/timer_test.c \
	test/base/trace_test.c \
	test/base/turn_test.c \
	test/base/wait_test.c

test_proto_CPPFLAGS = $(AM_CPPFLAGS) $(CRITERION_CFLAGS)
test_proto_LDADD = libsupport.a $(PROTO_LIBS) $(CRITERION_LIBS)
# files: test/proto/*.c test/proto/*.h
test_proto_SOURCES = \
	test/proto/as_general.h \
	test/proto/as_protobuf.h \
	test/proto/control_test.c \
	test/proto/frame_test.c \
	test/proto/grpc_test.c \
	test/proto/reflect_test.c \
	test/proto/session_test.c \
	test/proto/status_test.c \
	test/proto/up_test.c

test_mux_CPPFLAGS = $(AM_CPPFLAGS) $(CRITERION_CFLAGS)
test_mux_LDADD = libsupport.a $(MUX_LIBS) $(CRITERION_LIBS)
# files: test/mux/*.c test/mux/*.h
test_mux_SOURCES = \
	test/mux/across_test.c \
	test/mux/addr_test.c \
	test/mux/alive_test.c \
	test/mux/asked.c \
	test/mux/asked.h \
	test/mux/batch_test.c \
	test/mux/call_test.c \
	test/mux/calm_test.c \
	test/mux/chaos_test.c \
	test/mux/conform.c \
	test/mux/conform.h \
	test/mux/conform_client_test.c \
	test/mux/conform_states.h \
	test/mux/conform_test.c \
	test/mux/conn_test.c \
	test/mux/count_test.c \
	test/mux/dial_test.c \
	test/mux/fair_test.c \
	test/mux/front_test.c \
	test/mux/gzip_test.c \
	test/mux/held_test.c \
	test/mux/keep_test.c \
	test/mux/lasting_test.c \
	test/mux/link_test.c \
	test/mux/message_test.c \
	test/mux/meta_test.c \
	test/mux/out_test.c \
	test/mux/pair_test.c \
	test/mux/plain_loops_test.c \
	test/mux/plain_test.c \
	test/mux/port_test.c \
	test/mux/roll_test.c \
	test/mux/rx_test.c \
	test/mux/secure.c \
	test/mux/secure.h \
	test/mux/sendq_test.c \
	test/mux/stream_test.c \
	test/mux/talk.c \
	test/mux/talk.h \
	test/mux/tls_files_test.c \
	test/mux/tls_link_test.c \
	test/mux/tls_port_test.c \
	test/mux/tls_test.c \
	test/mux/unary_test.c \
	test/mux/wire_going_test.c \
	test/mux/wire_loops_test.c \
	test/mux/wire_test.c \
	test/mux/wire_tls_test.c \
	test/mux/wired.c \
	test/mux/wired.h

test_chanserv_CPPFLAGS = $(AM_CPPFLAGS) $(CRITERION_CFLAGS)
test_chanserv_LDADD = libsupport.a $(CHANSERV_LIBS) $(CRITERION_LIBS)
# files: test/chanserv/*.c test/chanserv/*.h
test_chanserv_SOURCES = \
	test/chanserv/ahead_test.c \
	test/chanserv/announce_test.c \
	test/chanserv/authorise_test.c \
	test/chanserv/behalf_test.c \
	test/chanserv/both_test.c \
	test/chanserv/bound_test.c \
	test/chanserv/breaks.c \
	test/chanserv/breaks.h \
	test/chanserv/churn_test.c \
	test/chanserv/client_test.c \
	test/chanserv/drain_test.c \
	test/chanserv/fake_server.c \
	test/chanserv/fake_server.h \
	test/chanserv/fanout_test.c \
	test/chanserv/feed_test.c \
	test/chanserv/frames_test.c \
	test/chanserv/histogram_test.c \
	test/chanserv/limits_test.c \
	test/chanserv/looped.c \
	test/chanserv/looped.h \
	test/chanserv/loops_limits_test.c \
	test/chanserv/loops_memory_test.c \
	test/chanserv/loops_session_test.c \
	test/chanserv/loops_test.c \
	test/chanserv/moment_test.c \
	test/chanserv/open_test.c \
	test/chanserv/outlet_test.c \
	test/chanserv/pace_test.c \
	test/chanserv/post_test.c \
	test/chanserv/pour_test.c \
	test/chanserv/range_test.c \
	test/chanserv/raw.c \
	test/chanserv/raw.h \
	test/chanserv/ref_test.c \
	test/chanserv/relay_test.c \
	test/chanserv/resume_alone_test.c \
	test/chanserv/resume_lost_test.c \
	test/chanserv/resume_moves_test.c \
	test/chanserv/resume_test.c \
	test/chanserv/say_memory_test.c \
	test/chanserv/say_test.c \
	test/chanserv/server_memory_test.c \
	test/chanserv/server_test.c \
	test/chanserv/session_gzip_test.c \
	test/chanserv/session_test.c \
	test/chanserv/set_test.c \
	test/chanserv/source_test.c \
	test/chanserv/stat_test.c \
	test/chanserv/talk_test.c \
	test/chanserv/ticket_test.c \
	test/chanserv/tls_test.c

test_gateway_CPPFLAGS = $(AM_CPPFLAGS) $(CRITERION_CFLAGS)
test_gateway_LDADD = libsupport.a $(GATEWAY_LIBS) $(CRITERION_LIBS)
# files: test/gateway/*.c test/gateway/*.h
test_gateway_SOURCES = \
	test/gateway/admin_test.c \
	test/gateway/browser.c \
	test/gateway/browser.h \
	test/gateway/conn1_test.c \
	test/gateway/conn2_test.c \
	test/gateway/guard_test.c \
	test/gateway/http1_test.c \
	test/gateway/json_test.c \
	test/gateway/metrics_test.c \
	test/gateway/page_test.c \
	test/gateway/post_test.c \
	test/gateway/refused_test.c \
	test/gateway/report_test.c \
	test/gateway/request_test.c \
	test/gateway/source_test.c \
	test/gateway/transcript.c \
	test/gateway/transcript.h \
	test/gateway/url_test.c \
	test/gateway/web_test.c

# The gateway's browser asks for services, too.
test_services_CPPFLAGS = $(AM_CPPFLAGS) $(CRITERION_CFLAGS)
test_services_LDADD = libsupport.a $(SERVICES_LIBS) $(CRITERION_LIBS)
# files: test/services/*.c test/services/*.h test/gateway/browser.c
test_services_SOURCES = \
	test/gateway/browser.c \
	test/services/desk_test.c \
	test/services/event_test.c \
	test/services/hall_test.c \
	test/services/meet_test.c \
	test/services/naive.c \
	test/services/naive.h \
	test/services/scope_test.c \
	test/services/selector_test.c

test_story_CPPFLAGS = $(AM_CPPFLAGS) $(CRITERION_CFLAGS)
test_story_LDADD = libsupport.a $(CHANSERV_LIBS) $(CRITERION_LIBS)
# files: test/story/*.c test/story/*.h
test_story_SOURCES = \
	test/story/cut_frame_test.c \
	test/story/drain_test.c \
	test/story/failover_test.c \
	test/story/first_flight_test.c \
	test/story/flapping_test.c \
	test/story/frame_limit_test.c \
	test/story/gzip_test.c \
	test/story/identity_test.c \
	test/story/lookup_test.c \
	test/story/malloc_test.c \
	test/story/many.c \
	test/story/many.h \
	test/story/nodes_memory_test.c \
	test/story/nodes_test.c \
	test/story/options_test.c \
	test/story/promise1_order_test.c \
	test/story/promise2_silence_test.c \
	test/story/promise3_stalled_test.c \
	test/story/promise4_lazy_test.c \
	test/story/promise5_pulled_test.c \
	test/story/promise6_corpse_test.c \
	test/story/protocol_test.c \
	test/story/random_test.c \
	test/story/script.c \
	test/story/script.h \
	test/story/seeds_test.c \
	test/story/story.c \
	test/story/story.h \
	test/story/transcript_test.c

# The pages of docs/, held to the code.
test_docs_CPPFLAGS = $(AM_CPPFLAGS) $(CRITERION_CFLAGS)
test_docs_LDADD = libsupport.a $(SERVICES_LIBS) $(CRITERION_LIBS)
# files: test/docs/*.c test/docs/*.h
test_docs_SOURCES = \
	test/docs/conformance_test.c \
	test/docs/conversation_test.c \
	test/docs/doc.c \
	test/docs/doc.h \
	test/docs/limits_test.c \
	test/docs/operations_test.c \
	test/docs/options_test.c \
	test/docs/tap.c \
	test/docs/tap.h \
	test/docs/wire_test.c

test_tools_CPPFLAGS = $(AM_CPPFLAGS) $(CRITERION_CFLAGS)
test_tools_LDADD = libtools.a libsupport.a $(SERVICES_LIBS) $(CRITERION_LIBS)
# files: test/tools/*.c test/tools/*.h
test_tools_SOURCES = \
	test/tools/auth_test.c \
	test/tools/bench_test.c \
	test/tools/exec_test.c \
	test/tools/gen_test.c \
	test/tools/latency_test.c \
	test/tools/lines_test.c \
	test/tools/log_test.c \
	test/tools/options_test.c \
	test/tools/serve_config_test.c \
	test/tools/service_list_test.c \
	test/tools/stat_list_test.c \
	test/tools/status_test.c \
	test/tools/stdin_test.c \
	test/tools/tail_place_test.c \
	test/tools/tail_test.c \
	test/tools/top_test.c

criterion_programs = test_base test_proto test_mux test_chanserv test_gateway test_services test_story test_docs test_tools

if WITH_CRITERION
check_PROGRAMS += $(criterion_programs)
TESTS += $(criterion_programs)
$(test_proto_OBJECTS) $(test_docs_OBJECTS): proto/chanserv.pb-c.h
else
EXTRA_PROGRAMS += $(criterion_programs)
endif

# ---- Plain programs: threads, for ThreadSanitizer, and the corpora of the fuzzers -------------

# programs: test/tsan/*.c
thread_programs = \
	test/tsan/chan_tsan \
	test/tsan/client_tsan \
	test/tsan/loop_tsan \
	test/tsan/loops_tsan \
	test/tsan/meet_tsan \
	test/tsan/nodes_tsan \
	test/tsan/resume_tsan \
	test/tsan/talk_tsan

# programs: test/fuzz/*_fuzz.c
fuzz_programs = \
	test/fuzz/client_fuzz \
	test/fuzz/gzip_fuzz \
	test/fuzz/http1_fuzz \
	test/fuzz/options_fuzz \
	test/fuzz/port_fuzz \
	test/fuzz/rendezvous_fuzz \
	test/fuzz/server_fuzz \
	test/fuzz/session_fuzz \
	test/fuzz/wire_fuzz

check_PROGRAMS += $(thread_programs) $(fuzz_programs)

# With libFuzzer the same sources need no replay_main.c, which is the `main` of the others.
check_LIBRARIES += libreplay.a libfuzz.a
libreplay_a_SOURCES = test/fuzz/replay_main.c
if WITH_FUZZER
LINK_FUZZ = $(AM_LDFLAGS) -fsanitize=fuzzer
FUZZ_LIBS = libfuzz.a
else
LINK_FUZZ = $(AM_LDFLAGS)
FUZZ_LIBS = libfuzz.a libreplay.a
endif
# files: test/fuzz/*.c test/fuzz/*.h !test/fuzz/*_fuzz.c !test/fuzz/replay_main.c
libfuzz_a_SOURCES = \
	test/fuzz/frames.c \
	test/fuzz/fuzz.c \
	test/fuzz/fuzz.h \
	test/fuzz/served.c \
	test/fuzz/served.h

test_tsan_chan_tsan_LDADD = $(BASE_LIBS)
test_tsan_loop_tsan_LDADD = $(BASE_LIBS)
test_tsan_meet_tsan_LDADD = $(SERVICES_LIBS)
test_fuzz_client_fuzz_LDFLAGS = $(LINK_FUZZ)
test_fuzz_client_fuzz_LDADD = $(FUZZ_LIBS) $(CHANSERV_LIBS)
test_fuzz_gzip_fuzz_LDFLAGS = $(LINK_FUZZ)
test_fuzz_gzip_fuzz_LDADD = $(FUZZ_LIBS) $(MUX_LIBS)
test_fuzz_http1_fuzz_LDFLAGS = $(LINK_FUZZ)
test_fuzz_http1_fuzz_LDADD = $(FUZZ_LIBS) $(GATEWAY_LIBS)
test_fuzz_options_fuzz_LDFLAGS = $(LINK_FUZZ)
test_fuzz_options_fuzz_LDADD = libtools.a $(FUZZ_LIBS) $(SERVICES_LIBS) $(EVENT_LIBS)
test_fuzz_port_fuzz_LDFLAGS = $(LINK_FUZZ)
test_fuzz_port_fuzz_LDADD = $(FUZZ_LIBS) $(MUX_LIBS)
test_fuzz_rendezvous_fuzz_LDFLAGS = $(LINK_FUZZ)
test_fuzz_rendezvous_fuzz_LDADD = $(FUZZ_LIBS) $(SERVICES_LIBS)
test_fuzz_server_fuzz_LDFLAGS = $(LINK_FUZZ)
test_fuzz_server_fuzz_LDADD = $(FUZZ_LIBS) $(CHANSERV_LIBS)
test_fuzz_session_fuzz_LDFLAGS = $(LINK_FUZZ)
test_fuzz_session_fuzz_LDADD = $(FUZZ_LIBS) $(CHANSERV_LIBS)
test_fuzz_wire_fuzz_LDFLAGS = $(LINK_FUZZ)
test_fuzz_wire_fuzz_LDADD = $(FUZZ_LIBS) $(PROTO_LIBS)
$(test_fuzz_wire_fuzz_OBJECTS): proto/chanserv.pb-c.h

# All fuzzers by libFuzzer, TIME seconds each, in a build of clang of their own.
TIME = 60
.PHONY: fuzz
fuzz:
	$(AM_TESTS_ENVIRONMENT) $(top_srcdir)/test/fuzz/run $(TIME)

# Stories while the system, libevent and memory fail: test/torture.sh runs it.
check_PROGRAMS += test/torture/torture
# files: test/torture/*.c test/torture/*.h
test_torture_torture_SOURCES = \
	test/torture/calls.c \
	test/torture/calls.h \
	test/torture/torture.c
test_torture_torture_LDADD = $(CHANSERV_LIBS) $(EVENT_LIBS) $(OPENSSL_LIBS)

# Servers and clients that the interop stage starts; built by plain make.
# programs: test/interop/*.c
noinst_PROGRAMS += \
	test/interop/calls \
	test/interop/etcd \
	test/interop/witness
test_interop_witness_LDADD = $(GATEWAY_LIBS)
test_interop_calls_LDADD = $(CHANSERV_LIBS) # it looks at counters, which are no public header's

# The torture of sessions, and the proxy that it goes through: run by the interop stage, and for long by
# test/long/run.
# programs: test/long/*.c
long_programs = \
	test/long/churn \
	test/long/crowd \
	test/long/cuts \
	test/long/keepalive \
	test/long/proxy \
	test/long/soak \
	test/long/stalled
noinst_PROGRAMS += $(long_programs)
test_long_crowd_SOURCES = test/long/crowd.c test/attack/peer.c test/attack/victim.c
test_long_crowd_LDADD = $(LDADD) $(NGHTTP2_LIBS)
test_long_soak_SOURCES = test/long/soak.c test/attack/peer.c test/attack/victim.c
test_long_soak_LDADD = $(NGHTTP2_LIBS) -lm
test_long_stalled_SOURCES = test/long/stalled.c test/attack/peer.c test/attack/victim.c
test_long_stalled_LDADD = $(LDADD) $(NGHTTP2_LIBS)
test_long_cuts_LDADD = libproxy.a $(LDADD) $(NGHTTP2_LIBS)
test_long_keepalive_LDADD = libproxy.a $(LDADD) $(NGHTTP2_LIBS)
test_long_proxy_LDADD = libproxy.a $(NGHTTP2_LIBS)

# Hostile clients and servers, for the attack stage.
noinst_PROGRAMS += test/attack/attack test/attack/trap
test_attack_trap_LDADD = $(NGHTTP2_LIBS)
# files: test/attack/trap* test/attack/peer*
test_attack_trap_SOURCES = \
	test/attack/peer.c \
	test/attack/peer.h \
	test/attack/trap.c \
	test/attack/trap.h \
	test/attack/traps.c \
	test/attack/traps_slow.c
test_attack_attack_LDADD = $(NGHTTP2_LIBS) $(OPENSSL_LIBS) $(ZLIB_LIBS)
# files: test/attack/*.c test/attack/*.h !test/attack/trap*
test_attack_attack_SOURCES = \
	test/attack/attack.h \
	test/attack/bodies.c \
	test/attack/fields.c \
	test/attack/floods.c \
	test/attack/good.c \
	test/attack/good.h \
	test/attack/harmless.c \
	test/attack/http1.c \
	test/attack/http1.h \
	test/attack/http1_sources.c \
	test/attack/limits.c \
	test/attack/links.c \
	test/attack/main.c \
	test/attack/peer.c \
	test/attack/peer.h \
	test/attack/resets.c \
	test/attack/secure.c \
	test/attack/secure.h \
	test/attack/sessions.c \
	test/attack/tickets.c \
	test/attack/tickets.h \
	test/attack/victim.c \
	test/attack/victim.h \
	test/attack/windows.c

noinst_LIBRARIES += libproxy.a
# files: test/support/proxy*.c test/support/proxy*.h
libproxy_a_SOURCES = \
	test/support/proxy.c \
	test/support/proxy.h \
	test/support/proxy__in.h \
	test/support/proxy_bytes.c \
	test/support/proxy_http2.c

# ---- Scripts ----------------------------------------------------------------------------------

test_scripts = test/lists.sh test/rooms.sh test/format.sh test/headers.sh test/install.sh \
	test/threads.sh test/replay.sh test/torture.sh test/examples.sh test/bench.sh test/descriptors.sh test/page.sh \
	test/tools/cli.sh test/tools/serve.sh test/tools/kinds.sh \
	test/tools/completion.sh test/tools/stat.sh test/tools/meet.sh test/tools/connect.sh test/tools/follow.sh test/docs/readme.sh test/docs/curl.sh
TESTS += $(test_scripts)

EXTRA_DIST += $(test_scripts) test/criterion.sh test/tap.sh test/tools/kit.sh test/tools/cutter.py test/tools/terminal.py test/rooms.awk test/run test/deps test/chroot .ci/run
# files: test/stages/*
EXTRA_DIST += \
	test/stages/10-gcc-asan \
	test/stages/20-clang \
	test/stages/30-tsan \
	test/stages/40-distcheck \
	test/stages/50-interop \
	test/stages/55-quickstart \
	test/stages/57-attack \
	test/stages/60-mutants \
	test/stages/common.sh
EXTRA_DIST += test/fuzz/corpus test/fuzz/run test/mutants
# files: test/interop/**/* !test/interop/*.c test/attack/**/* !test/attack/*.c !test/attack/*.h test/conform/**/*
EXTRA_DIST += \
	test/attack/classes \
	test/attack/run \
	test/attack/scenarios \
	test/interop/cells.sh \
	test/interop/curl.sh \
	test/interop/gateway.sh \
	test/interop/js/admin.js \
	test/interop/js/browser.js \
	test/interop/js/cells.js \
	test/interop/js/chromium.js \
	test/interop/js/gen.js \
	test/interop/js/gzip.js \
	test/interop/js/kit.js \
	test/interop/js/leave.js \
	test/interop/js/main.js \
	test/interop/js/meet.js \
	test/interop/js/package.json \
	test/interop/js/page.js \
	test/interop/js/raw.js \
	test/interop/js/read.js \
	test/interop/js/roll.js \
	test/interop/js/server.js \
	test/interop/js/sessions.js \
	test/interop/js/site.js \
	test/interop/js/strangers.js \
	test/interop/js/talk.js \
	test/interop/js/unary.js \
	test/interop/js/ways.js \
	test/interop/js/web.js \
	test/interop/kit.h \
	test/interop/metrics.sh \
	test/interop/py/admin.py \
	test/interop/py/cells.py \
	test/interop/py/kit.py \
	test/interop/py/main.py \
	test/interop/py/strangers.py \
	test/interop/py/ways.py \
	test/interop/run \
	test/interop/tls.sh \
	test/interop/tool.sh
# files: test/examples/* test/docs/* !test/docs/*.c !test/docs/*.h
EXTRA_DIST += \
	test/docs/curl.sh \
	test/docs/page.sh \
	test/docs/readme.sh \
	test/examples/fan_out.expected \
	test/examples/rendezvous.expected \
	test/examples/step2_range.expected \
	test/examples/step3_choose.expected \
	test/examples/step4_slow.expected \
	test/examples/step5_callbacks.expected \
	test/examples/step6_select.expected \
	test/examples/step7_goroutines.expected \
	test/examples/watch.expected \
	test/examples/work_queue.expected
# files: test/support/*.sh test/long/run test/long/*.sh
EXTRA_DIST += \
	test/long/keepalive.sh \
	test/long/run \
	test/support/certs.sh
# files: test/install/*
EXTRA_DIST += \
	test/install/outside.c \
	test/install/outside_gateway.c \
	test/install/outside_rendezvous.c

# Most of the tests are Criterion's: without it a green make check would say too much.
check-local:
if MISSES_CRITERION
	@echo 'make check: the unit tests need Criterion (Debian: libcriterion-dev), which configure' >&2
	@echo 'did not find.  Install it and configure again, or leave them out on purpose with' >&2
	@echo './configure --enable-tests=no' >&2
	@exit 1
endif
