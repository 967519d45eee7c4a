# services: systems on the framework, each a library of its own that knows public headers alone.
noinst_LTLIBRARIES += librendezvous.la
librendezvous_la_CFLAGS = $(AM_CFLAGS) $(LTO)
# files: services/rendezvous/*.c services/rendezvous/*.h
librendezvous_la_SOURCES = \
	services/rendezvous/ask.c \
	services/rendezvous/ask.h \
	services/rendezvous/desk.c \
	services/rendezvous/desk.h \
	services/rendezvous/hall.c \
	services/rendezvous/hall.h \
	services/rendezvous/hall__in.h \
	services/rendezvous/http.c \
	services/rendezvous/index.c \
	services/rendezvous/labels.c \
	services/rendezvous/labels.h \
	services/rendezvous/line.c \
	services/rendezvous/match.c \
	services/rendezvous/meet.c \
	services/rendezvous/meet.h \
	services/rendezvous/place.c \
	services/rendezvous/read.c \
	services/rendezvous/read.h \
	services/rendezvous/rendezvous.h \
	services/rendezvous/roster.c \
	services/rendezvous/search.c \
	services/rendezvous/selector.c \
	services/rendezvous/sums.c \
	services/rendezvous/tell.c \
	services/rendezvous/weigh.c
SERVICES_LIBS = librendezvous.la $(GATEWAY_LIBS)

lib_LTLIBRARIES += libchanserv-rendezvous.la
libchanserv_rendezvous_la_SOURCES =
libchanserv_rendezvous_la_LIBADD = librendezvous.la libchanserv-gateway.la libchanserv.la
libchanserv_rendezvous_la_DEPENDENCIES = librendezvous.la libchanserv-gateway.la libchanserv.la \
	$(top_srcdir)/chanserv-rendezvous.map
# See libchanserv_la_LDFLAGS.
libchanserv_rendezvous_la_LDFLAGS = -pthread $(SANITIZERS) $(LTO) $(RELRO) $(BOUND) -version-info 0:0:0 -no-undefined \
	-Wl,--version-script=$(top_srcdir)/chanserv-rendezvous.map $(NO_UNDEFINED)

servicesincludedir = $(includedir)/chanserv/services/rendezvous
servicesinclude_HEADERS = services/rendezvous/rendezvous.h
