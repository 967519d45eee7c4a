# base: answers, bytes, memory, lists, maps, the loop, channels between threads.
noinst_LTLIBRARIES += libbase.la
# files: base/*.c base/*.h
libbase_la_SOURCES = \
	base/base.h \
	base/chan.h \
	base/list.h \
	base/loop.h \
	base/map.h \
	base/mem.h \
	base/ref.h \
	base/trace.h \
	base/turn.h
BASE_LIBS = libbase.la $(EVENT_LIBS)

baseincludedir = $(includedir)/chanserv/base
baseinclude_HEADERS = base/base.h base/chan.h base/loop.h
