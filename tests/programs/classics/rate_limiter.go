// A rate limiter: a bucket of tokens to which a ticker adds one at a time, up to a limit. Who has
// no token to take waits for one, or until its context ends. And a timer that is put off again and
// again.
package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

type limiter struct {
	tokens  chan struct{}
	closing chan struct{}
	closed  chan struct{}
}

// newLimiter returns a limiter with a full bucket. Once it is empty, a token comes every interval.
func newLimiter(interval time.Duration, bucket int) *limiter {
	l := &limiter{make(chan struct{}, bucket), make(chan struct{}), make(chan struct{})}
	for i := 0; i < bucket; i++ {
		l.tokens <- struct{}{}
	}
	go l.fill(interval)
	return l
}

func (l *limiter) fill(interval time.Duration) {
	defer close(l.closed)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			select {
			case l.tokens <- struct{}{}:
			default: // the bucket is full
			}
		case <-l.closing:
			return
		}
	}
}

// allow takes a token if there is one.
func (l *limiter) allow() bool {
	select {
	case <-l.tokens:
		return true
	default:
		return false
	}
}

// wait takes a token when there is one.
func (l *limiter) wait(ctx context.Context) error {
	select {
	case <-l.tokens:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *limiter) close() {
	close(l.closing)
	<-l.closed
}

func bursts() {
	slow := newLimiter(time.Hour, 5)
	defer slow.close()
	allowed := 0
	for i := 0; i < 8; i++ {
		if slow.allow() {
			allowed++
		}
	}
	fmt.Printf("of a burst of 8, %d were allowed\n", allowed)

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	err := slow.wait(ctx)
	fmt.Printf("waited for a token until the deadline: %t\n", errors.Is(err, context.DeadlineExceeded))
}

func steadyWork() {
	const (
		interval = time.Millisecond
		bucket   = 5
		workers  = 4
		each     = 10
	)
	begin := time.Now()
	fast := newLimiter(interval, bucket)
	defer fast.close()
	var done [workers]int
	var all sync.WaitGroup
	for i := 0; i < workers; i++ {
		all.Add(1)
		go func(worker int) {
			defer all.Done()
			for done[worker] < each {
				if fast.wait(context.Background()) != nil {
					return
				}
				done[worker]++
			}
		}(i)
	}
	all.Wait()
	atLeast := (workers*each - bucket) * interval
	fmt.Printf("tokens taken by each worker: %v; not faster than allowed: %t\n",
		done, time.Since(begin) >= atLeast)
}

// idleTimer: closes a session some time after its last message.
func idleTimer() {
	messages := make(chan int)
	go func() {
		for i := 1; i <= 100; i++ {
			messages <- i
		}
	}()
	idle := time.NewTimer(time.Hour)
	received, expired := 0, 0
	for expired == 0 {
		select {
		case <-messages:
			received++
			left := time.Hour
			if received == 100 {
				left = time.Millisecond
			}
			idle.Reset(left)
		case <-idle.C:
			expired++
		}
	}
	fmt.Printf("idle after %d messages; timer still running: %t\n", received, idle.Stop())
}

func main() {
	bursts()
	steadyWork()
	idleTimer()
}
