# gateway: the other dialects on the same port, and what operators' tools ask.  A library of its own.
noinst_LTLIBRARIES += libgateway.la
libgateway_la_CFLAGS = $(AM_CFLAGS) $(LTO)
# files: gateway/*.c gateway/*.h
libgateway_la_SOURCES = \
	gateway/admin.c \
	gateway/admin.h \
	gateway/admin__in.h \
	gateway/asked.c \
	gateway/conn1.c \
	gateway/conn1__in.h \
	gateway/conn1_out.c \
	gateway/conn2.c \
	gateway/debug.c \
	gateway/dialect.c \
	gateway/drop.c \
	gateway/gateway.c \
	gateway/gateway.h \
	gateway/gateway__in.h \
	gateway/guard.c \
	gateway/health.c \
	gateway/http1.c \
	gateway/http1__in.h \
	gateway/http1_body.c \
	gateway/http1_head.c \
	gateway/http1_say.c \
	gateway/json.c \
	gateway/json.h \
	gateway/json_stat.c \
	gateway/kept.c \
	gateway/kept__in.h \
	gateway/limits.h \
	gateway/metrics.c \
	gateway/page.c \
	gateway/page__in.h \
	gateway/page_html.c \
	gateway/post.c \
	gateway/reflection.c \
	gateway/reply.c \
	gateway/report.c \
	gateway/request.c \
	gateway/routes.c \
	gateway/services.c \
	gateway/source.c \
	gateway/stat.c \
	gateway/ticket.c \
	gateway/url.c \
	gateway/url__in.h \
	gateway/web.c \
	gateway/web__in.h \
	gateway/web_frame.c
GATEWAY_LIBS = libgateway.la $(CHANSERV_LIBS)

lib_LTLIBRARIES += libchanserv-gateway.la
libchanserv_gateway_la_SOURCES =
libchanserv_gateway_la_LIBADD = libgateway.la libchanserv.la
libchanserv_gateway_la_DEPENDENCIES = libgateway.la libchanserv.la $(top_srcdir)/chanserv-gateway.map
# See libchanserv_la_LDFLAGS.
libchanserv_gateway_la_LDFLAGS = -pthread $(SANITIZERS) $(LTO) $(RELRO) $(BOUND) -version-info 0:0:0 -no-undefined \
	-Wl,--version-script=$(top_srcdir)/chanserv-gateway.map $(NO_UNDEFINED)

gatewayincludedir = $(includedir)/chanserv/gateway
gatewayinclude_HEADERS = gateway/admin.h gateway/gateway.h gateway/json.h \
	gateway/limits.h
# Not compiled: test/page.sh makes gateway/page_html.c of it.
EXTRA_DIST += gateway/page.html
