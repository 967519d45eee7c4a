# mux: many message streams over one HTTP/2 connection.
noinst_LTLIBRARIES += libmux.la
# files: mux/*.c mux/*.h
libmux_la_SOURCES = \
	mux/link__in.h \
	mux/local.h \
	mux/mux.h \
	mux/rx.h \
	mux/stats.h
MUX_LIBS = libmux.la $(PROTO_LIBS) $(NGHTTP2_LIBS)

muxincludedir = $(includedir)/chanserv/mux
muxinclude_HEADERS = mux/mux.h
