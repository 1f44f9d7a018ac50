// dump: the stacks of 100,000 goroutines that wait to receive are written to /dev/null, while two
// others play ping-pong; time of the dump. No warm-up: whoever needs a dump needs the first one.
package main

import (
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"runnel_bench/common"
)

//go:noinline
func receive(from chan int) int { return <-from }

//go:noinline
func serve(requests chan int, begun *int64) {
	atomic.AddInt64(begun, 1)
	receive(requests)
}

func startPingPong(roundTrips *int64) {
	ping, pong := make(chan int), make(chan int)
	go func() {
		for v := range ping {
			pong <- v
		}
	}()
	go func() {
		for {
			ping <- 1
			<-pong
			atomic.AddInt64(roundTrips, 1)
		}
	}()
}

func main() {
	args := common.Parse()
	goroutines := args.Scaled(100000)
	requests := make(chan int)
	var begun, roundTrips int64
	for g := 0; g < goroutines; g++ {
		go func() { serve(requests, &begun) }()
	}
	for atomic.LoadInt64(&begun) < int64(goroutines) {
		runtime.Gosched()
	}
	startPingPong(&roundTrips)
	for atomic.LoadInt64(&roundTrips) == 0 {
		runtime.Gosched()
	}

	nowhere, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	common.Require(err == nil, "/dev/null")
	start := time.Now()
	// What pprof does, but with a buffer that is large enough at once: it would double it until it is.
	text := make([]byte, 128<<20)
	size := runtime.Stack(text, true)
	_, err = nowhere.Write(text[:size])
	ms := float64(time.Since(start).Nanoseconds()) / 1e6
	common.Require(err == nil && size < len(text), "the dump")
	common.Print(common.Metric{Key: "ms", Value: ms})
}
