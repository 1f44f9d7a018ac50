// defer: a function counts when it is entered, and again when it is left: by itself, by a deferred
// call; time of a call of each. The fastest of 300 runs of each, in turns.
package main

import "runnel_bench/common"

type counter struct {
	entered, left int
}

// What the function does in between, which is not inlined either.
//
//go:noinline
func work(c *counter) {
	c.entered++
}

//go:noinline
func byItself(c *counter) {
	work(c)
	c.left++
}

//go:noinline
func byDefer(c *counter) {
	defer func() { c.left++ }()
	work(c)
}

func check(c counter, times int) {
	common.Require(c.entered == times && c.left == times, "the counts")
}

func callByItself(times int) {
	var c counter
	for i := 0; i < times; i++ {
		byItself(&c)
	}
	check(c, times)
}

func callByDefer(times int) {
	var c counter
	for i := 0; i < times; i++ {
		byDefer(&c)
	}
	check(c, times)
}

func main() {
	args := common.Parse()
	ns := common.FastestOfEach(300, args.Scaled(100000), callByItself, callByDefer)
	common.Print(
		common.Metric{Key: "itself_ns", Value: ns[0]},
		common.Metric{Key: "func_ns", Value: ns[1]},
	)
}
