// Publish and subscribe: a broker hands every message to all subscribers of its topic, in the order
// in which its publisher sent it. A subscriber may leave at any time; a publisher that is about to
// wait for it does not.
package main

import (
	"fmt"
	"sync"
)

type message struct {
	topic     string
	publisher int
	number    int
}

type subscription struct {
	topic    string
	messages chan message // closed when the broker is
	left     chan struct{}
}

type broker struct {
	mutex         sync.Mutex
	subscriptions []*subscription
}

func (b *broker) subscribe(topic string) *subscription {
	s := &subscription{topic, make(chan message, 4), make(chan struct{})}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.subscriptions = append(b.subscriptions, s)
	return s
}

func (b *broker) unsubscribe(s *subscription) {
	close(s.left)
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for i, other := range b.subscriptions {
		if other == s {
			b.subscriptions = append(b.subscriptions[:i], b.subscriptions[i+1:]...)
			return
		}
	}
}

func (b *broker) subscribers(topic string) []*subscription {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	var found []*subscription
	for _, s := range b.subscriptions {
		if s.topic == topic {
			found = append(found, s)
		}
	}
	return found
}

func (b *broker) publish(m message) {
	for _, s := range b.subscribers(m.topic) {
		select {
		case s.messages <- m:
		case <-s.left:
		}
	}
}

// close may be called when nobody publishes any more.
func (b *broker) close() {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	for _, s := range b.subscriptions {
		close(s.messages)
	}
	b.subscriptions = nil
}

const (
	publishers   = 8
	messagesEach = 300 // a third of them to each topic
	enough       = 10  // for a reader who does not stay
)

var topics = []string{"weather", "sport", "news"}

type report struct {
	received, sum int
	inOrder       bool
}

func read(b *broker, s *subscription, stays bool, r *report) {
	r.inOrder = true
	var last [publishers]int
	for m := range s.messages {
		r.received++
		r.sum += m.number
		r.inOrder = r.inOrder && m.topic == s.topic && m.number > last[m.publisher]
		last[m.publisher] = m.number
		if !stays && r.received == enough {
			b.unsubscribe(s)
			return
		}
	}
}

func main() {
	var b broker

	// Of every topic, the last of four readers does not stay.
	var readers sync.WaitGroup
	reports := make([]report, 4*len(topics))
	for i := range reports {
		readers.Add(1)
		go func(s *subscription, stays bool, r *report) {
			defer readers.Done()
			read(&b, s, stays, r)
		}(b.subscribe(topics[i/4]), i%4 != 3, &reports[i])
	}

	var writers sync.WaitGroup
	for i := 0; i < publishers; i++ {
		writers.Add(1)
		go func(publisher int) {
			defer writers.Done()
			for n := 1; n <= messagesEach; n++ {
				b.publish(message{topics[n%len(topics)], publisher, n})
			}
		}(i)
	}
	writers.Wait()
	b.close()
	readers.Wait()

	for i, r := range reports {
		fmt.Printf("%s: reader %d got %d messages, in order: %t", topics[i/4], i%4, r.received, r.inOrder)
		if i%4 != 3 {
			fmt.Printf(", the sum of their numbers: %d", r.sum)
		}
		fmt.Println()
	}
}
