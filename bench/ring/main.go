// ring: 10,000 goroutines pass a token round over unbuffered channels, 300 times; time of a hop.
// Warm-up: the first round. Main is one of the ring.
package main

import (
	"time"

	"runnel_bench/common"
)

const size = 10000

func goRound(first chan<- int, last <-chan int, rounds int) {
	token := 0
	for r := 0; r < rounds; r++ {
		first <- token + 1
		token = <-last
	}
	common.Require(token == rounds*size, "the token")
}

func main() {
	args := common.Parse()
	rounds := args.Scaled(300)
	first := make(chan int)
	last := first
	for i := 1; i < size; i++ {
		next := make(chan int)
		go func(in <-chan int, out chan<- int) {
			for token := range in {
				out <- token + 1
			}
			close(out)
		}(last, next)
		last = next
	}
	goRound(first, last, 1)
	start := time.Now()
	goRound(first, last, rounds)
	common.Print(common.Metric{
		Key:   "ns_per_hop",
		Value: common.NanosecondsEach(start, rounds*size),
	})
	close(first)
	_, more := <-last
	common.Require(!more, "the end")
}
