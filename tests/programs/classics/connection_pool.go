// A pool of connections in the manner of database/sql: a limit on the open ones, on the idle ones
// and on the time that either may last, and a queue of those who wait for one, which they leave
// when their context ends. The connections are make-believe.
package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// ---- What is pooled

type connection struct {
	openedAt, idleSince time.Time
	users               atomic.Int32
	closed              chan struct{}
}

// query is true if nobody else used the connection meanwhile.
func (c *connection) query() bool {
	alone := c.users.Add(1) == 1
	runtime.Gosched()
	return c.users.Add(-1) == 0 && alone
}

func (c *connection) close() { close(c.closed) }

// ---- The pool

var errPoolClosed = errors.New("the pool is closed")

type limits struct {
	open     int // 0: none
	idle     int
	lifetime time.Duration // 0: none
	idleTime time.Duration // 0: none
}

type counters struct {
	opened, reused, handedOver         int // how connections were got
	waited, gaveUp                     int
	overIdle, overLifetime, overIdling int // closed because they went over a limit
}

type pool struct {
	limits  limits
	changed chan struct{} // for the cleaner: there is another idle connection
	closing chan struct{}
	cleaned chan struct{} // the cleaner has ended

	mutex    sync.Mutex
	idle     []*connection // the last one to come is the first to go
	waiting  []chan *connection
	open     int // idle, in use, and about to be opened
	closed   bool
	counters counters
}

func newPool(l limits) *pool {
	p := &pool{
		limits:  l,
		changed: make(chan struct{}, 1),
		closing: make(chan struct{}),
		cleaned: make(chan struct{}),
	}
	go p.clean()
	return p
}

// get returns a connection that is the caller's until put.
func (p *pool) get(ctx context.Context) (*connection, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.mutex.Lock()
	if p.closed {
		p.mutex.Unlock()
		return nil, errPoolClosed
	}
	p.closeExpired()
	if last := len(p.idle) - 1; last >= 0 {
		c := p.idle[last]
		p.idle = p.idle[:last]
		p.counters.reused++
		p.mutex.Unlock()
		return c, nil
	}
	if p.limits.open == 0 || p.open < p.limits.open {
		p.open++
		p.counters.opened++
		p.mutex.Unlock()
		return connect(), nil
	}
	turn := make(chan *connection, 1)
	p.waiting = append(p.waiting, turn)
	p.counters.waited++
	p.mutex.Unlock()
	select {
	case c, ok := <-turn:
		return p.take(c, ok)
	case <-ctx.Done():
		if !p.leaveQueue(turn) { // it got its turn at this very moment
			c, ok := <-turn
			if c, err := p.take(c, ok); err == nil {
				p.put(c)
			}
		}
		return nil, ctx.Err()
	}
}

// take makes something of what comes out of the queue: nil is the right to open a connection.
func (p *pool) take(c *connection, ok bool) (*connection, error) {
	if !ok {
		return nil, errPoolClosed
	}
	if c == nil {
		c = connect()
	}
	return c, nil
}

// put gives a connection back: to the first in the queue, if there is one.
func (p *pool) put(c *connection) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	switch {
	case p.closed:
		p.drop(c)
	case over(p.limits.lifetime, c.openedAt):
		p.counters.overLifetime++
		p.drop(c)
	case len(p.waiting) > 0:
		p.counters.handedOver++
		p.next() <- c
	case len(p.idle) >= p.limits.idle:
		p.counters.overIdle++
		p.drop(c)
	default:
		c.idleSince = time.Now()
		p.idle = append(p.idle, c)
		select {
		case p.changed <- struct{}{}:
		default:
		}
	}
}

// close closes the idle connections at once and the others when they come back, and sends away those
// who wait.
func (p *pool) close() {
	p.mutex.Lock()
	p.closed = true
	for len(p.waiting) > 0 {
		close(p.next())
	}
	for _, c := range p.idle {
		p.drop(c)
	}
	p.idle = nil
	p.mutex.Unlock()
	close(p.closing)
	<-p.cleaned
}

func (p *pool) state() (counters, int, int) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.counters, p.open, len(p.waiting)
}

func connect() *connection {
	return &connection{openedAt: time.Now(), closed: make(chan struct{})}
}

func over(limit time.Duration, since time.Time) bool {
	return limit > 0 && time.Since(since) >= limit
}

// next takes the first out of the queue. The mutex is locked, here and below.
func (p *pool) next() chan<- *connection {
	first := p.waiting[0]
	p.waiting = p.waiting[1:]
	return first
}

// drop closes a connection. The first in the queue may open another one.
func (p *pool) drop(c *connection) {
	c.close()
	if len(p.waiting) > 0 {
		p.counters.opened++
		p.next() <- nil
	} else {
		p.open--
	}
}

func (p *pool) closeExpired() {
	kept := p.idle[:0]
	for _, c := range p.idle {
		switch {
		case over(p.limits.lifetime, c.openedAt):
			p.counters.overLifetime++
			p.drop(c)
		case over(p.limits.idleTime, c.idleSince):
			p.counters.overIdling++
			p.drop(c)
		default:
			kept = append(kept, c)
		}
	}
	p.idle = kept
}

func (p *pool) leaveQueue(turn chan *connection) bool {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for i, other := range p.waiting {
		if other == turn {
			p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
			p.counters.gaveUp++
			return true
		}
	}
	return false
}

// clean closes idle connections when their time is up.
func (p *pool) clean() {
	defer close(p.cleaned)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-p.changed:
		case <-p.closing:
			return
		}
		timer.Reset(p.cleanOnce())
	}
}

// cleanOnce returns how long nothing will be to do.
func (p *pool) cleanOnce() time.Duration {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.closeExpired()
	rest := time.Hour
	for _, c := range p.idle {
		if left := p.limits.lifetime - time.Since(c.openedAt); p.limits.lifetime > 0 && left < rest {
			rest = left
		}
		if left := p.limits.idleTime - time.Since(c.idleSince); p.limits.idleTime > 0 && left < rest {
			rest = left
		}
	}
	return rest
}

// ---- Its use

var background = context.Background()

func (p *pool) mustGet() *connection {
	c, err := p.get(background)
	if err != nil {
		panic(err)
	}
	return c
}

// untilWaiting returns when so many are in the queue.
func (p *pool) untilWaiting(n int) {
	for {
		if _, _, waiting := p.state(); waiting == n {
			return
		}
		runtime.Gosched()
	}
}

func (p *pool) report(scene string) {
	c, open, waiting := p.state()
	fmt.Printf("%s: %d opened, %d reused, %d handed over; %d waited, %d gave up;\n",
		scene, c.opened, c.reused, c.handedOver, c.waited, c.gaveUp)
	fmt.Printf("    closed: %d over the idle ones, %d over their lifetime, %d over their idle time;"+
		" now %d open, %d waiting\n", c.overIdle, c.overLifetime, c.overIdling, open, waiting)
}

func oneByOne() {
	p := newPool(limits{open: 2, idle: 2})
	for i := 0; i < 5; i++ {
		p.put(p.mustGet())
	}
	p.report("one by one")
	p.close()
}

func tooManyIdle() {
	p := newPool(limits{idle: 2})
	var all [5]*connection
	for i := range all {
		all[i] = p.mustGet()
	}
	for _, c := range all {
		p.put(c)
	}
	if p.mustGet() == all[1] {
		fmt.Println("the last one to come is the first to go")
	}
	p.put(all[1])
	p.report("five at once")
	p.close()
}

func queue() {
	p := newPool(limits{open: 1, idle: 1})
	only := p.mustGet()
	var served []int // by the one who has the connection
	var all sync.WaitGroup
	for i := 0; i < 5; i++ {
		all.Add(1)
		go func(number int) {
			defer all.Done()
			c := p.mustGet()
			served = append(served, number)
			p.put(c)
		}(i)
		p.untilWaiting(i + 1)
	}
	p.put(only)
	all.Wait()
	fmt.Println("served in the order", served)
	p.report("a queue")
	p.close()
}

func deadline() {
	p := newPool(limits{open: 1, idle: 1})
	only := p.mustGet()
	ctx, cancel := context.WithTimeout(background, 5*time.Millisecond)
	defer cancel()
	_, err := p.get(ctx)
	fmt.Println("gave up at the deadline:", errors.Is(err, context.DeadlineExceeded))
	p.put(only)
	p.close()
}

func giveUp() {
	p := newPool(limits{open: 1, idle: 1})
	only := p.mustGet()
	cancelled, cancel := context.WithCancel(background)
	first, second := make(chan error), make(chan error)
	try := func(ctx context.Context, result chan<- error) {
		c, err := p.get(ctx)
		if err == nil {
			p.put(c)
		}
		result <- err
	}
	go try(cancelled, first)
	p.untilWaiting(1)
	go try(background, second)
	p.untilWaiting(2)
	cancel()
	fmt.Println("gave up when cancelled:", errors.Is(<-first, context.Canceled))
	p.put(only)
	fmt.Println("the next one was served:", <-second == nil)
	_, err := p.get(cancelled)
	fmt.Println("did not begin to wait:", errors.Is(err, context.Canceled))
	p.report("giving up")
	p.close()
}

func lifetimes() {
	const life = 5 * time.Millisecond
	p := newPool(limits{open: 1, idle: 1, lifetime: life})
	old := p.mustGet()
	<-time.After(life)
	young := make(chan *connection)
	go func() {
		c := p.mustGet()
		p.put(c)
		young <- c
	}()
	p.untilWaiting(1)
	p.put(old)
	<-old.closed
	<-(<-young).closed // by the cleaner
	p.report("lifetimes")
	p.close()

	p = newPool(limits{open: 3, idle: 3, idleTime: life})
	first, second := p.mustGet(), p.mustGet()
	p.put(first)
	p.put(second)
	<-first.closed
	<-second.closed
	p.report("idle times")
	p.close()
}

func crowd() {
	const people, queries = 100, 20
	p := newPool(limits{open: 4, idle: 4})
	var alone [people]int
	var all sync.WaitGroup
	for i := 0; i < people; i++ {
		all.Add(1)
		go func(person int) {
			defer all.Done()
			for n := 0; n < queries; n++ {
				c := p.mustGet()
				if c.query() {
					alone[person]++
				}
				p.put(c)
			}
		}(i)
	}
	all.Wait()
	sum := 0
	for _, n := range alone {
		sum += n
	}
	c, open, _ := p.state()
	fmt.Printf("a crowd: %d queries, all got a connection: %t, never more than 4: %t\n",
		sum, c.opened+c.reused+c.handedOver == sum, c.opened <= 4 && open == c.opened)
	p.close()
}

func closing() {
	p := newPool(limits{open: 2, idle: 2})
	used, idle := p.mustGet(), p.mustGet()
	p.put(idle)
	idle = p.mustGet()
	result := make(chan error)
	go func() {
		_, err := p.get(background)
		result <- err
	}()
	p.untilWaiting(1)
	p.close()
	fmt.Println("sent away:", <-result)
	_, err := p.get(background)
	fmt.Println("too late:", err)
	p.put(idle)
	p.put(used)
	p.report("closing")
}

func main() {
	oneByOne()
	tooManyIdle()
	queue()
	deadline()
	giveUp()
	lifetimes()
	crowd()
	closing()
}
