// Go peers: yamux, smux (stream multiplexers) and grpc-go, all from Debian packages.
// Usage: gopeers server|client yamux|yamux-buf|smux|smux-buf|grpc-go PORT WORKLOAD [ARG]
// "-buf": the server gathers small messages in a 16 KiB bufio.Writer; without it a message is a frame.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/hashicorp/yamux"
	"github.com/xtaci/smux"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
)

const (
	w3Streams, w3Msgs, w5Sources, w5Frames, small, hdr = 1000, 1000, 100, 10, 64, 16
)

// ---- what a message is made of, and a look at it, as in spot.h
var spot = func() byte {
	if os.Getenv("BENCH_CORRUPT") != "" {
		return 'y'
	}
	return 'x'
}()

func filled(n uint32) []byte { return bytes.Repeat([]byte{spot}, int(n)) }
func look(b []byte) {
	if len(b) == 0 || b[len(b)-1] != 'x' {
		log.Fatal("a message came with the wrong content")
	}
}

// ---- measuring, as in bench.h
func cpuOf(pid int) float64 {
	var ts syscall.Timespec
	id := uintptr(2)
	if pid != 0 {
		id = uintptr(int((^uint32(pid)<<3)|2)) & 0xffffffff
	}
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&ts)), 0)
	return float64(ts.Sec) + float64(ts.Nsec)*1e-9
}
func pids() (r []int) {
	for _, s := range strings.Split(os.Getenv("BENCH_PIDS"), ",") {
		if n, e := strconv.Atoi(s); e == nil {
			r = append(r, n)
		}
	}
	return
}
func cpuSrv() (s float64) {
	for _, p := range pids() {
		s += cpuOf(p)
	}
	return
}
func memOf(pid int, key string) (kb int64) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for _, l := range strings.Split(string(b), "\n") {
		if strings.HasPrefix(l, key) {
			fmt.Sscan(l[len(key):], &kb)
		}
	}
	return
}
func memSrv(key string) (s int64) {
	for _, p := range pids() {
		s += memOf(p, key)
	}
	return
}
func envF(k string, d float64) float64 {
	if f, e := strconv.ParseFloat(os.Getenv(k), 64); e == nil {
		return f
	}
	return d
}

type meter struct {
	state                   int
	first, t0, t1           time.Time
	s0, c0, s, c, warm, dur float64
	n0, n                   uint64
}

func newMeter() *meter { return &meter{warm: envF("BENCH_WARM", .25), dur: envF("BENCH_SECS", 1)} }
func (m *meter) start(n uint64) {
	m.n0, m.s0, m.c0, m.t0, m.state = n, cpuSrv(), cpuOf(0), time.Now(), 2
}
func (m *meter) stop(n uint64) {
	m.t1, m.n, m.s, m.c, m.state = time.Now(), n-m.n0, cpuSrv()-m.s0, cpuOf(0)-m.c0, 3
}
func (m *meter) tick(n uint64) bool {
	t := time.Now()
	if m.state == 0 {
		m.first, m.state = t, 1
	}
	if m.state == 1 && t.Sub(m.first).Seconds() >= m.warm {
		m.start(n)
	} else if m.state == 2 && t.Sub(m.t0).Seconds() >= m.dur {
		m.stop(n)
	}
	return m.state == 3
}
func (m *meter) secs() float64 { return m.t1.Sub(m.t0).Seconds() }
func (m *meter) rate() float64 { return float64(m.n) / m.secs() }
func (m *meter) emit(peer, wl, arg string, fig float64, unit, extra string) {
	if arg != "" {
		wl += "-" + arg
	}
	if extra != "" {
		extra = "," + extra
	}
	fmt.Printf("{\"peer\":%q,\"workload\":%q,\"figure\":%.6g,\"unit\":%q,\"secs\":%.3f,\"cpu_server_s\":%.3f,\"cpu_client_s\":%.3f,\"units\":%d,\"rss_server_kb\":%d,\"rss_client_kb\":%d%s}\n",
		peer, wl, fig, unit, m.secs(), m.s, m.c, m.n, memSrv("VmHWM:"), memOf(os.Getpid(), "VmHWM:"), extra)
	os.Exit(0)
}

type lat struct {
	sync.Mutex
	v []float64
}

func (l *lat) add(d time.Duration) {
	l.Lock()
	l.v = append(l.v, float64(d.Nanoseconds())/1000)
	l.Unlock()
}
func (l *lat) q(p float64) float64 { return l.v[int(p*float64(len(l.v)-1))] }
func (l *lat) json() string {
	l.Lock()
	defer l.Unlock()
	sort.Float64s(l.v)
	return fmt.Sprintf("\"p50_us\":%.2f,\"p99_us\":%.2f,\"p999_us\":%.2f", l.q(.5), l.q(.99), l.q(.999))
}
func ck(e error) {
	if e != nil {
		log.Fatal(e)
	}
}

// ---- one view of yamux and smux
type session interface {
	open() (io.ReadWriteCloser, error)
	accept() (io.ReadWriteCloser, error)
}
type ys struct{ *yamux.Session }

func (s ys) open() (io.ReadWriteCloser, error)   { return s.Session.OpenStream() }
func (s ys) accept() (io.ReadWriteCloser, error) { return s.Session.AcceptStream() }

type ss struct{ *smux.Session }

func (s ss) open() (io.ReadWriteCloser, error)   { return s.Session.OpenStream() }
func (s ss) accept() (io.ReadWriteCloser, error) { return s.Session.AcceptStream() }
func wrap(lib string, c net.Conn, server bool) session {
	c.(*net.TCPConn).SetNoDelay(true)
	if lib == "yamux" {
		f := yamux.DefaultConfig()
		f.AcceptBacklog, f.MaxStreamWindowSize, f.LogOutput = 4096, 1<<20, io.Discard
		f.EnableKeepAlive = false
		if server {
			s, e := yamux.Server(c, f)
			ck(e)
			return ys{s}
		}
		s, e := yamux.Client(c, f)
		ck(e)
		return ys{s}
	}
	f := smux.DefaultConfig()
	f.KeepAliveDisabled, f.MaxFrameSize, f.MaxReceiveBuffer = true, 65535, 16<<20
	if server {
		s, e := smux.Server(c, f)
		ck(e)
		return ss{s}
	}
	s, e := smux.Client(c, f)
	ck(e)
	return ss{s}
}

// A request is 8 bytes: size, count (count 0: until closed; 1<<31: stay open). Messages have a u32 length.
const hold = 1 << 31

func serveStream(st io.ReadWriteCloser, buf bool, echo bool) {
	defer st.Close()
	var q [8]byte
	if echo {
		b := make([]byte, small)
		for {
			if _, e := io.ReadFull(st, b); e != nil {
				return
			}
			b[small-1] = spot
			if _, e := st.Write(b); e != nil {
				return
			}
		}
	}
	if _, e := io.ReadFull(st, q[:]); e != nil {
		return
	}
	size, count := binary.LittleEndian.Uint32(q[:]), binary.LittleEndian.Uint32(q[4:])
	m := append(make([]byte, 4), filled(size)...)
	binary.LittleEndian.PutUint32(m, size)
	if count == hold {
		st.Write(m)
		st.Read(q[:])
		return
	}
	var w io.Writer = st
	if buf || count == 2 {
		b := bufio.NewWriterSize(st, map[bool]int{true: 16384, false: 256}[count != 2])
		defer b.Flush()
		w = b
	}
	if count == 2 {
		h := append(make([]byte, 4), filled(hdr)...)
		binary.LittleEndian.PutUint32(h, hdr)
		w.Write(h)
	}
	for i := uint32(0); count == 0 || i < count; i++ {
		if _, e := w.Write(m); e != nil {
			return
		}
	}
}
func req(st io.Writer, size, count uint32) {
	var q [8]byte
	binary.LittleEndian.PutUint32(q[:], size)
	binary.LittleEndian.PutUint32(q[4:], count)
	_, e := st.Write(q[:])
	ck(e)
}

// readMsgs: read whole messages until the end; f returns true to stop.
func readMsgs(st io.Reader, bsz int, f func() bool) (n int) {
	r := bufio.NewReaderSize(st, bsz)
	var h [4]byte
	b := make([]byte, 64)
	for {
		if _, e := io.ReadFull(r, h[:]); e != nil {
			return
		}
		z := int(binary.LittleEndian.Uint32(h[:]))
		if z > len(b) {
			b = make([]byte, z)
		}
		if _, e := io.ReadFull(r, b[:z]); e != nil {
			return
		}
		look(b[:z])
		n++
		if f != nil && f() {
			return
		}
	}
}
func muxServer(lib string, buf bool, port, wl string) {
	l, e := net.Listen("tcp", "127.0.0.1:"+port)
	ck(e)
	fmt.Println("ready")
	c, e := l.Accept()
	ck(e)
	s := wrap(lib, c, true)
	for {
		st, e := s.accept()
		if e != nil {
			os.Exit(0)
		}
		go serveStream(st, buf, wl == "w7")
	}
}
func muxClient(peer, lib, port, wl, arg string) {
	c, e := net.Dial("tcp", "127.0.0.1:"+port)
	ck(e)
	s := wrap(lib, c, false)
	m, l := newMeter(), &lat{}
	num, _ := strconv.Atoi(arg)
	open := func() io.ReadWriteCloser { st, e := s.open(); ck(e); return st }
	one := func(size, count uint32) int {
		st := open()
		req(st, size, count)
		n := readMsgs(st, 512, nil)
		st.Close()
		return n
	}
	switch wl {
	case "w1", "w2":
		st := open()
		req(st, uint32(num), 0)
		n, mask := uint64(0), uint64(63)
		if num > 4096 {
			mask = 0
		}
		readMsgs(st, 65536, func() bool { n++; return n&mask == 0 && m.tick(n) })
		if wl == "w2" {
			m.emit(peer, wl, arg, m.rate()*float64(num)/1e6, "MB/s", "")
		}
		m.emit(peer, wl, arg, m.rate(), "msgs/s", "")
	case "w3":
		var wg sync.WaitGroup
		var n uint64
		m.start(0)
		for i := 0; i < w3Streams; i++ {
			wg.Add(1)
			go func() {
				st := open()
				req(st, small, w3Msgs)
				atomic.AddUint64(&n, uint64(readMsgs(st, 4096, nil)))
				st.Close()
				wg.Done()
			}()
		}
		wg.Wait()
		m.stop(n)
		if n != w3Streams*w3Msgs {
			log.Fatal("w3 lost messages")
		}
		m.emit(peer, wl, arg, m.rate(), "msgs/s", "")
	case "w4":
		churn(peer, arg, num, m, l, func() {
			if one(small, 2) != 3 {
				log.Fatal("w4")
			}
		})
	case "w5":
		nested(peer, m, func() { one(4, w5Sources) }, func() {
			if one(small, w5Frames) != w5Frames {
				log.Fatal("w5")
			}
		})
	case "w6":
		one(small, 2)
		idle(peer, arg, num, m, func() func() {
			st := open()
			req(st, small, hold)
			b := make([]byte, 4+small)
			_, e := io.ReadFull(st, b)
			ck(e)
			look(b)
			return func() { st.Close() }
		})
	case "w7":
		st := open()
		b := make([]byte, small)
		pingpong(peer, m, l, func() { st.Write(b); _, e := io.ReadFull(st, b); ck(e); look(b) })
	}
}

// ---- workload drivers common to the multiplexers and grpc-go
func churn(peer, arg string, inflight int, m *meter, l *lat, f func()) {
	var mu sync.Mutex
	var n uint64
	fin := make(chan bool, inflight)
	for i := 0; i < inflight; i++ {
		go func() {
			for {
				t := time.Now()
				f()
				l.add(time.Since(t))
				mu.Lock()
				n++
				stop := (inflight == 1 || n&15 == 0) && m.tick(n)
				mu.Unlock()
				if stop {
					fin <- true
				}
			}
		}()
	}
	<-fin
	mu.Lock()
	m.emit(peer, "w4", arg, m.rate(), "streams/s", l.json())
}
func nested(peer string, m *meter, announce, source func()) {
	for n := uint64(0); ; {
		announce()
		var wg sync.WaitGroup
		wg.Add(w5Sources)
		for i := 0; i < w5Sources; i++ {
			go func() { source(); wg.Done() }()
		}
		wg.Wait()
		n += w5Sources
		if m.tick(n) {
			break
		}
	}
	m.emit(peer, "w5", "", m.rate(), "sources/s", fmt.Sprintf("\"frames_per_s\":%.0f", m.rate()*w5Frames))
}
func idle(peer, arg string, num int, m *meter, open func() func()) {
	settle := func() { debug.FreeOSMemory(); time.Sleep(600 * time.Millisecond) }
	settle()
	s0, c0 := memSrv("VmRSS:"), memOf(os.Getpid(), "VmRSS:")
	keep := make([]func(), num)
	sem := make(chan bool, 200)
	m.start(0)
	var wg sync.WaitGroup
	for i := range keep {
		wg.Add(1)
		sem <- true
		go func(i int) { keep[i] = open(); <-sem; wg.Done() }(i)
	}
	wg.Wait()
	m.stop(uint64(num))
	settle()
	b := func(d int64) float64 { return float64(d) * 1024 / float64(num) }
	s, c := b(memSrv("VmRSS:")-s0), b(memOf(os.Getpid(), "VmRSS:")-c0)
	runtime.KeepAlive(keep)
	m.emit(peer, "w6", arg, s+c, "B/stream", fmt.Sprintf("\"server_b\":%.0f,\"client_b\":%.0f,\"opens_per_s\":%.0f", s, c, m.rate()))
}
func pingpong(peer string, m *meter, l *lat, f func()) {
	for n := uint64(1); ; n++ {
		t := time.Now()
		f()
		l.add(time.Since(t))
		if m.tick(n) {
			break
		}
	}
	js := l.json()
	m.emit(peer, "w7", "", l.q(.5), "us", js)
}

// ---- grpc-go with a bytes codec
type codec struct{}

func (codec) Marshal(v interface{}) ([]byte, error)   { return *v.(*[]byte), nil }
func (codec) Unmarshal(b []byte, v interface{}) error { *v.(*[]byte) = b; return nil }
func (codec) Name() string                            { return "raw" }

var desc = grpc.ServiceDesc{ServiceName: "b", HandlerType: (*interface{})(nil), Streams: []grpc.StreamDesc{
	{StreamName: "stream", ServerStreams: true, Handler: func(_ interface{}, st grpc.ServerStream) error {
		var q []byte
		if e := st.RecvMsg(&q); e != nil {
			return e
		}
		size, count := binary.LittleEndian.Uint32(q), binary.LittleEndian.Uint32(q[4:])
		m := filled(size)
		if count == hold {
			st.SendMsg(&m)
			<-st.Context().Done()
			return nil
		}
		for i := uint32(0); count == 0 || i < count; i++ {
			if e := st.SendMsg(&m); e != nil {
				return e
			}
		}
		return nil
	}},
	{StreamName: "echo", ServerStreams: true, ClientStreams: true, Handler: func(_ interface{}, st grpc.ServerStream) error {
		var b []byte
		for st.RecvMsg(&b) == nil {
			b[len(b)-1] = spot
			if st.SendMsg(&b) != nil {
				break
			}
		}
		return nil
	}}}}

func grpcServer(port string) {
	l, e := net.Listen("tcp", "127.0.0.1:"+port)
	ck(e)
	s := grpc.NewServer(grpc.MaxSendMsgSize(1<<30), grpc.InitialWindowSize(1<<20), grpc.InitialConnWindowSize(1<<24))
	s.RegisterService(&desc, nil)
	fmt.Println("ready")
	ck(s.Serve(l))
}
func grpcClient(port, wl, arg string) {
	peer := "grpc-go"
	cc, e := grpc.Dial("127.0.0.1:"+port, grpc.WithInsecure(), grpc.WithBlock(), grpc.WithInitialWindowSize(1<<20), grpc.WithInitialConnWindowSize(1<<24),
		grpc.WithDefaultCallOptions(grpc.CallContentSubtype("raw"), grpc.MaxCallRecvMsgSize(1<<30)))
	ck(e)
	m, l := newMeter(), &lat{}
	num, _ := strconv.Atoi(arg)
	open := func(size, count uint32) grpc.ClientStream {
		st, e := cc.NewStream(context.Background(), &desc.Streams[0], "/b/stream")
		ck(e)
		q := make([]byte, 8)
		binary.LittleEndian.PutUint32(q, size)
		binary.LittleEndian.PutUint32(q[4:], count)
		ck(st.SendMsg(&q))
		ck(st.CloseSend())
		return st
	}
	one := func(size, count uint32) (n int) {
		st := open(size, count)
		var b []byte
		for st.RecvMsg(&b) == nil {
			look(b)
			n++
		}
		return
	}
	switch wl {
	case "w1", "w2":
		st := open(uint32(num), 0)
		var b []byte
		mask := uint64(63)
		if num > 4096 {
			mask = 0
		}
		for n := uint64(1); ; n++ {
			ck(st.RecvMsg(&b))
			look(b)
			if n&mask == 0 && m.tick(n) {
				break
			}
		}
		if wl == "w2" {
			m.emit(peer, wl, arg, m.rate()*float64(num)/1e6, "MB/s", "")
		}
		m.emit(peer, wl, arg, m.rate(), "msgs/s", "")
	case "w3":
		var wg sync.WaitGroup
		var n uint64
		m.start(0)
		for i := 0; i < w3Streams; i++ {
			wg.Add(1)
			go func() { atomic.AddUint64(&n, uint64(one(small, w3Msgs))); wg.Done() }()
		}
		wg.Wait()
		m.stop(n)
		m.emit(peer, wl, arg, m.rate(), "msgs/s", "")
	case "w4":
		churn(peer, arg, num, m, l, func() {
			if one(small, 2) != 2 {
				log.Fatal("w4")
			}
		})
	case "w5":
		nested(peer, m, func() { one(4*w5Sources, 1) }, func() { one(small, w5Frames) })
	case "w6":
		one(small, 2)
		idle(peer, arg, num, m, func() func() {
			st := open(small, hold)
			var b []byte
			ck(st.RecvMsg(&b))
			look(b)
			return func() { st.Context() }
		})
	case "w7":
		st, e := cc.NewStream(context.Background(), &desc.Streams[1], "/b/echo")
		ck(e)
		b := make([]byte, small)
		pingpong(peer, m, l, func() { ck(st.SendMsg(&b)); var r []byte; ck(st.RecvMsg(&r)); look(r) })
	}
}
func main() {
	a := append(os.Args, "", "", "")
	role, peer, port, wl, arg := a[1], a[2], a[3], a[4], a[5]
	time.AfterFunc(time.Duration(envF("BENCH_MAX", 60)*1e9), func() { os.Exit(3) })
	encoding.RegisterCodec(codec{})
	lib := strings.TrimSuffix(peer, "-buf")
	if role == "server" {
		if wl == "w6" { // give memory back, so that RSS means live memory
			go func() {
				for {
					time.Sleep(200 * time.Millisecond)
					debug.FreeOSMemory()
				}
			}()
		}
		if peer == "grpc-go" {
			grpcServer(port)
		}
		muxServer(lib, lib != peer, port, wl)
	}
	if peer == "grpc-go" {
		grpcClient(port, wl, arg)
	}
	muxClient(peer, lib, port, wl, arg)
}
