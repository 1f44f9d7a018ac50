// skynet: a tree of goroutines with ten children each and a million leaves. A leaf sends its number
// to its parent, a parent the sum of its children's; each parent has one unbuffered channel for all
// its children. The time until the root's sum is there. No warm-up.
package main

import (
	"time"

	"runnel_bench/common"
)

const children = 10

func skynet(result chan int, number int, leaves int) {
	if leaves == 1 {
		result <- number
		return
	}
	results := make(chan int)
	for i := 0; i < children; i++ {
		each := leaves / children
		go skynet(results, number+i*each, each)
	}
	sum := 0
	for i := 0; i < children; i++ {
		sum += <-results
	}
	result <- sum
}

func main() {
	args := common.Parse()
	leaves := 1
	for leaves*children <= args.Scaled(1000000) {
		leaves *= children
	}
	start := time.Now()
	result := make(chan int)
	go skynet(result, 0, leaves)
	common.Require(<-result == leaves*(leaves-1)/2, "the sum")
	common.Print(common.Metric{Key: "ms", Value: common.NanosecondsEach(start, 1) / 1e6})
}
