// ping_pong: a value goes to and fro between two goroutines over two unbuffered channels; time of
// a round trip. Warm-up: a tenth of the round trips.
package main

import (
	"sync"
	"time"

	"runnel_bench/common"
)

func play(roundTrips int) {
	ping := make(chan int)
	pong := make(chan int)
	var joined sync.WaitGroup
	joined.Add(2)
	value := 0
	go func() {
		for i := 0; i < roundTrips; i++ {
			ping <- value
			value = <-pong
		}
		close(ping)
		joined.Done()
	}()
	go func() {
		for v := range ping {
			pong <- v + 1
		}
		joined.Done()
	}()
	joined.Wait()
	common.Require(value == roundTrips, "the value")
}

func main() {
	args := common.Parse()
	roundTrips := args.Scaled(3000000)
	play(roundTrips / 10)
	start := time.Now()
	play(roundTrips)
	common.Print(common.Metric{
		Key:   "ns_per_round_trip",
		Value: common.NanosecondsEach(start, roundTrips),
	})
}
