# mux: many message streams over one HTTP/2 connection.
noinst_LTLIBRARIES += libmux.la
libmux_la_CFLAGS = $(AM_CFLAGS) $(LTO)
# files: mux/*.c mux/*.h
libmux_la_SOURCES = \
	mux/across.c \
	mux/across.h \
	mux/addr.c \
	mux/alive.c \
	mux/behalf.c \
	mux/behalf.h \
	mux/call.c \
	mux/calm.c \
	mux/calm__in.h \
	mux/conn.c \
	mux/conn_io.c \
	mux/count.c \
	mux/count__in.h \
	mux/dial.c \
	mux/foreign.h \
	mux/front.c \
	mux/gzip.c \
	mux/gzip__in.h \
	mux/h2.c \
	mux/h2__in.h \
	mux/h2_head.c \
	mux/h2_in.c \
	mux/h2_out.c \
	mux/handlers.c \
	mux/held.c \
	mux/held.h \
	mux/ids.c \
	mux/ids__in.h \
	mux/keep.c \
	mux/keep.h \
	mux/lasting.c \
	mux/lasting.h \
	mux/limits.h \
	mux/link.c \
	mux/link__in.h \
	mux/local.h \
	mux/look.c \
	mux/lowat.c \
	mux/message.c \
	mux/meta.c \
	mux/mux.h \
	mux/mux__in.h \
	mux/out.c \
	mux/out__in.h \
	mux/pair.c \
	mux/pass.c \
	mux/peers.c \
	mux/peers__in.h \
	mux/plain.c \
	mux/port.c \
	mux/reach.c \
	mux/resolve.c \
	mux/ring.c \
	mux/ring__in.h \
	mux/roll.c \
	mux/roll.h \
	mux/rx.c \
	mux/rx.h \
	mux/sendq.c \
	mux/sendq__in.h \
	mux/shake.c \
	mux/sock.c \
	mux/sock__in.h \
	mux/stats.h \
	mux/stream.c \
	mux/stream_in.c \
	mux/stream_known.c \
	mux/tls.c \
	mux/tls.h \
	mux/tls__in.h \
	mux/tls__ssl.h \
	mux/tls_link.c \
	mux/tls_peer.c \
	mux/tls_shake.c \
	mux/tls_words.c \
	mux/unary.c \
	mux/unary_serve.c \
	mux/wire.c \
	mux/wire__in.h \
	mux/wire_begin.c
MUX_LIBS = libmux.la $(PROTO_LIBS) $(NGHTTP2_LIBS) $(OPENSSL_LIBS) $(ZLIB_LIBS)

muxincludedir = $(includedir)/chanserv/mux
muxinclude_HEADERS = mux/foreign.h mux/limits.h mux/mux.h
