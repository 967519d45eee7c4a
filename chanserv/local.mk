# chanserv: the channel of channels, and the library that users get.
noinst_LTLIBRARIES += libcs.la
libcs_la_CFLAGS = $(AM_CFLAGS) $(LTO)
# files: chanserv/*.c chanserv/*.h
libcs_la_SOURCES = \
	chanserv/adapters.h \
	chanserv/announce.c \
	chanserv/bond.c \
	chanserv/bond_call.c \
	chanserv/bond_say.c \
	chanserv/bucket.c \
	chanserv/call.c \
	chanserv/channel.c \
	chanserv/chanserv.h \
	chanserv/client.c \
	chanserv/client.h \
	chanserv/client__in.h \
	chanserv/counters.c \
	chanserv/drain.c \
	chanserv/fanout.c \
	chanserv/feed.c \
	chanserv/feed_known.c \
	chanserv/foreign.c \
	chanserv/frames.c \
	chanserv/go.c \
	chanserv/limits.h \
	chanserv/line.c \
	chanserv/listen.c \
	chanserv/look.c \
	chanserv/lookup.c \
	chanserv/loops.c \
	chanserv/loops__in.h \
	chanserv/memory.c \
	chanserv/node.c \
	chanserv/nodes.c \
	chanserv/open.c \
	chanserv/outlet.c \
	chanserv/outlet_life.c \
	chanserv/outlet_times.c \
	chanserv/owner.c \
	chanserv/pairs.c \
	chanserv/post.c \
	chanserv/post_asked.c \
	chanserv/post_life.c \
	chanserv/pour.c \
	chanserv/range.c \
	chanserv/raw.c \
	chanserv/relay.c \
	chanserv/request.c \
	chanserv/ring.c \
	chanserv/ring__in.h \
	chanserv/route.c \
	chanserv/say.c \
	chanserv/serve.c \
	chanserv/server.c \
	chanserv/server.h \
	chanserv/server__in.h \
	chanserv/server_options.c \
	chanserv/services.c \
	chanserv/session.c \
	chanserv/session__in.h \
	chanserv/session_life.c \
	chanserv/set.c \
	chanserv/signals.c \
	chanserv/source.c \
	chanserv/source_known.c \
	chanserv/source_open.c \
	chanserv/stat.c \
	chanserv/stat.h \
	chanserv/talk.c \
	chanserv/ticket.c \
	chanserv/tie.c \
	chanserv/uplink.c \
	chanserv/whole.c \
	chanserv/whole__in.h
CHANSERV_LIBS = libcs.la $(MUX_LIBS)

lib_LTLIBRARIES = libchanserv.la
libchanserv_la_SOURCES =
libchanserv_la_LIBADD = $(CHANSERV_LIBS)
libchanserv_la_DEPENDENCIES = libcs.la libmux.la libproto.la libpb.la libbase.la \
	$(top_srcdir)/chanserv.map
# current:revision:age, libtool's way: raise `current` with every change of the ABI, and `age`
# too when nothing was taken away.
libchanserv_la_LDFLAGS = -pthread $(SANITIZERS) $(LTO) $(RELRO) $(BOUND) -version-info 0:0:0 -no-undefined \
	-Wl,--version-script=$(top_srcdir)/chanserv.map $(NO_UNDEFINED)

# Installed one level down, so that <chanserv/chanserv.h> and what it includes, "base/base.h"
# and "mux/mux.h", are found with the one -I of chanserv.pc.
chanservincludedir = $(includedir)/chanserv/chanserv
chanservinclude_HEADERS = chanserv/adapters.h chanserv/chanserv.h chanserv/client.h \
	chanserv/limits.h chanserv/server.h chanserv/stat.h
