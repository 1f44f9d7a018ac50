// Power series as streams of rational coefficients, each made by a goroutine when it is asked for:
// after Doug McIlroy, "Squinting at Power Series". Sums, products, quotients, compositions and
// solutions of differential equations are goroutines that read other streams, even their own.
package main

import (
	"fmt"
	"os"
	"strconv"
)

// ---- Rational numbers: den > 0, in lowest terms.

type rational struct{ num, den int64 }

func gcd(a, b int64) int64 {
	for b != 0 {
		a, b = b, a%b
	}
	if a < 0 {
		return -a
	}
	return a
}

func times(a, b int64) int64 {
	if a != 0 && a*b/a != b {
		panic("overflow")
	}
	return a * b
}

func plus(a, b int64) int64 {
	if sum := a + b; (sum > a) == (b > 0) {
		return sum
	}
	panic("overflow")
}

func (a rational) plus(b rational) rational {
	g := gcd(a.den, b.den)
	num := plus(times(a.num, b.den/g), times(b.num, a.den/g))
	h := gcd(num, g)
	return rational{num / h, times(a.den/g, b.den/h)}
}

func (a rational) times(b rational) rational {
	g, h := gcd(a.num, b.den), gcd(b.num, a.den)
	return rational{times(a.num/g, b.num/h), times(a.den/h, b.den/g)}
}

func (a rational) negated() rational { return rational{-a.num, a.den} }

func (a rational) inverse() rational {
	if a.num < 0 {
		return rational{-a.den, -a.num}
	}
	return rational{a.den, a.num}
}

func (a rational) String() string {
	if a.den == 1 {
		return fmt.Sprint(a.num)
	}
	return fmt.Sprintf("%d/%d", a.num, a.den)
}

var zero, one = rational{0, 1}, rational{1, 1}

// ---- Series: whoever reads one asks for each coefficient before it gets it.

type series struct {
	wanted      chan struct{}
	coefficient chan rational
}

func newSeries() series { return series{make(chan struct{}), make(chan rational)} }

func (s series) next() rational {
	s.wanted <- struct{}{}
	return <-s.coefficient
}

// generate makes a series of what f returns each time.
func generate(f func() rational) series {
	s := newSeries()
	go s.send(f)
	return s
}

func (s series) send(f func() rational) {
	for {
		<-s.wanted
		s.coefficient <- f()
	}
}

// cons makes a series of a first coefficient and of the others, which come from a series that is made
// when the second one is asked for.
func cons(begin func() (first rational, others func() series)) series {
	s := newSeries()
	go func() {
		<-s.wanted
		first, others := begin()
		s.coefficient <- first
		<-s.wanted
		rest := others()
		s.coefficient <- rest.next()
		s.send(rest.next)
	}()
	return s
}

// split lets a series be read twice. Either reader may be ahead of the other, and may ask while the
// other one waits.
func split(s series) (series, series) {
	readers := [2]series{newSeries(), newSeries()}
	go func() {
		var ahead [2][]rational // what the reader has still to get
		var waits [2]bool
		asked := false
		for {
			select {
			case <-readers[0].wanted:
				waits[0] = true
			case <-readers[1].wanted:
				waits[1] = true
			case c := <-s.coefficient:
				asked = false
				ahead[0] = append(ahead[0], c)
				ahead[1] = append(ahead[1], c)
			}
			for i, reader := range readers {
				if waits[i] && len(ahead[i]) > 0 {
					reader.coefficient <- ahead[i][0]
					ahead[i] = ahead[i][1:]
					waits[i] = false
				}
			}
			if (waits[0] || waits[1]) && !asked {
				s.wanted <- struct{}{}
				asked = true
			}
		}
	}()
	return readers[0], readers[1]
}

// feedback makes the series that is defined in terms of itself.
func feedback(define func(itself series) series) series {
	s := newSeries()
	result, itself := split(s)
	go s.send(define(itself).next)
	return result
}

// ---- Arithmetic

func constant(c rational) series {
	return cons(func() (rational, func() series) {
		return c, func() series {
			return generate(func() rational { return zero })
		}
	})
}

func scaled(c rational, f series) series {
	return generate(func() rational { return c.times(f.next()) })
}

func sum(f, g series) series {
	return generate(func() rational { return f.next().plus(g.next()) })
}

// product: with F = f + x F' it is f g + x (f G' + F' G).
func product(f, g series) series {
	g1, g2 := split(g)
	return cons(func() (rational, func() series) {
		f0 := f.next()
		return f0.times(g1.next()), func() series {
			return sum(scaled(f0, g1), product(f, g2))
		}
	})
}

// reciprocal: R F = 1 means that R = 1/f - x R F' / f.
func reciprocal(f series) series {
	return feedback(func(itself series) series {
		return cons(func() (rational, func() series) {
			inverse := f.next().inverse()
			return inverse, func() series {
				return scaled(inverse.negated(), product(f, itself))
			}
		})
	})
}

// composition: F(G) = f + x G' F'(G), where G begins with zero.
func composition(f, g series) series {
	g1, g2 := split(g)
	return cons(func() (rational, func() series) {
		g1.next()
		return f.next(), func() series {
			return product(g1, composition(f, g2))
		}
	})
}

// ---- Calculus

func derivative(f series) series {
	f.next()
	n := int64(0)
	return generate(func() rational {
		n++
		return f.next().times(rational{n, 1})
	})
}

func integral(c rational, f series) series {
	return cons(func() (rational, func() series) {
		n := int64(0)
		return c, func() series {
			return generate(func() rational {
				n++
				return f.next().times(rational{1, n})
			})
		}
	})
}

// exponential of F, which begins with zero: E' = E F'.
func exponential(f series) series {
	return feedback(func(itself series) series {
		return integral(one, product(itself, derivative(f)))
	})
}

// ---- Some series

func x() series {
	return integral(zero, constant(one))
}

func geometric() series { // 1 / (1 - x)
	return generate(func() rational { return one })
}

func logarithm() series { // log 1 / (1 - x)
	return integral(zero, geometric())
}

func tangent() series { // T' = 1 + T T
	return feedback(func(itself series) series {
		t1, t2 := split(itself)
		return integral(zero, sum(constant(one), product(t1, t2)))
	})
}

func arctangent() series { // A' = 1 / (1 + x x)
	return integral(zero, reciprocal(sum(constant(one), product(x(), x()))))
}

func main() {
	n := 20
	if len(os.Args) > 1 {
		n, _ = strconv.Atoi(os.Args[1])
	}
	show := func(name string, s series) {
		fmt.Printf("%s:", name)
		for i := 0; i < n; i++ {
			fmt.Printf(" %v", s.next())
		}
		fmt.Println()
	}
	show("1/(1-x)", geometric())
	show("1/(1-x) + x", sum(geometric(), x()))
	show("1/(1-x)^2", product(geometric(), geometric()))
	show("log 1/(1-x)", logarithm())
	show("exp x", exponential(x()))
	show("1 / exp x", reciprocal(exponential(x())))
	show("exp log 1/(1-x)", exponential(logarithm()))
	show("exp (exp x - 1)", exponential(sum(exponential(x()), constant(one.negated()))))
	show("tan x", tangent())
	show("arctan x", arctangent())
	show("tan x at 2x", composition(tangent(), scaled(rational{2, 1}, x())))
	show("tan arctan x", composition(tangent(), arctangent()))
}
