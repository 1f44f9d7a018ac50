// Pipelines whose stages all end when their context does: cancelled by whoever has found what it
// was looking for, or because the time is up. No stage ever waits for one that is gone.
package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// send is false if the context ended first.
func send(ctx context.Context, out chan<- int, n int) bool {
	select {
	case out <- n:
		return true
	case <-ctx.Done():
		return false
	}
}

// count sends first, first + step and so on.
func count(ctx context.Context, first, step int, out chan<- int) {
	defer close(out)
	for n := first; send(ctx, out, n); n += step {
	}
}

// keep passes on what the predicate is true of.
func keep(ctx context.Context, predicate func(int) bool, in <-chan int, out chan<- int) {
	defer close(out)
	for n := range in {
		if predicate(n) && !send(ctx, out, n) {
			return
		}
	}
}

func isSquare(n int) bool {
	root := 0
	for root*root < n {
		root++
	}
	return root*root == n
}

func isTriangular(n int) bool { return isSquare(8*n + 1) }

func why(ctx context.Context) string {
	switch err := ctx.Err(); {
	case errors.Is(err, context.Canceled):
		return "it was cancelled"
	case errors.Is(err, context.DeadlineExceeded):
		return "its time was up"
	}
	return "of nothing"
}

// inARow: three stages, cancelled once enough has come out.
func inARow() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	numbers, squares, both := make(chan int), make(chan int), make(chan int)
	var stages sync.WaitGroup
	stages.Add(3)
	go func() {
		defer stages.Done()
		count(ctx, 0, 1, numbers)
	}()
	go func() {
		defer stages.Done()
		keep(ctx, isSquare, numbers, squares)
	}()
	go func() {
		defer stages.Done()
		keep(ctx, isTriangular, squares, both)
	}()

	fmt.Print("square and triangular:")
	for i := 0; i < 5; i++ {
		fmt.Printf(" %d", <-both)
	}
	fmt.Println()
	cancel()
	stages.Wait()
	fmt.Println("the pipeline has ended because", why(ctx))
}

// sideBySide: several stages divide by the numbers that come from one, and send what they find to
// one. There is one factor to be found.
func sideBySide(n int) {
	const width = 1000 // numbers to try at a time
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	starts, factors := make(chan int), make(chan int)
	var stages sync.WaitGroup
	stages.Add(5)
	go func() {
		defer stages.Done()
		count(ctx, 2, width, starts)
	}()
	for i := 0; i < 4; i++ {
		go func() {
			defer stages.Done()
			for start := range starts {
				for d := start; d < start+width && d*d <= n; d++ {
					if n%d == 0 && !send(ctx, factors, d) {
						return
					}
				}
			}
		}()
	}

	factor := <-factors
	cancel()
	stages.Wait()
	fmt.Printf("%d = %d * %d\n", n, factor, n/factor)
	fmt.Println("the search has ended because", why(ctx))
}

// inVain: a pipeline in which all wait for what does not come, and the contexts of the stages end
// with that of the whole.
func inVain() {
	whole, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	nothing := make(chan int)
	var stages sync.WaitGroup
	for i := 0; i < 3; i++ {
		part, cancelPart := context.WithTimeout(whole, time.Hour)
		defer cancelPart()
		stages.Add(1)
		go func() {
			defer stages.Done()
			send(part, nothing, 1)
		}()
	}
	stages.Wait()
	fmt.Println("the pipeline in vain has ended because", why(whole))
}

func main() {
	inARow()
	sideBySide(999983 * 1000003)
	inVain()
}
