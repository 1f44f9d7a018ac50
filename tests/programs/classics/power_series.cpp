// Power series as streams of rational coefficients, each made by a goroutine when it is asked for:
// after Doug McIlroy, "Squinting at Power Series". Sums, products, quotients, compositions and
// solutions of differential equations are goroutines that read other streams, even their own.
#include <runnel/chan.h>
#include <runnel/go.h>
#include <runnel/select.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <utility>

namespace {

// ---- Rational numbers: den > 0, in lowest terms.

struct rational {
  std::int64_t num = 0, den = 1;
};

std::int64_t times(std::int64_t a, std::int64_t b) {
  std::int64_t product;
  if (__builtin_mul_overflow(a, b, &product)) throw std::overflow_error("overflow");
  return product;
}

std::int64_t plus(std::int64_t a, std::int64_t b) {
  std::int64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) throw std::overflow_error("overflow");
  return sum;
}

rational operator+(rational a, rational b) {
  const std::int64_t g = std::gcd(a.den, b.den);
  const std::int64_t num = plus(times(a.num, b.den / g), times(b.num, a.den / g));
  const std::int64_t h = std::gcd(num, g);
  return {num / h, times(a.den / g, b.den / h)};
}

rational operator*(rational a, rational b) {
  const std::int64_t g = std::gcd(a.num, b.den), h = std::gcd(b.num, a.den);
  return {times(a.num / g, b.num / h), times(a.den / h, b.den / g)};
}

rational operator-(rational a) { return {-a.num, a.den}; }

rational inverse(rational a) {
  return a.num < 0 ? rational{-a.den, -a.num} : rational{a.den, a.num};
}

constexpr rational zero{0, 1}, one{1, 1};

// ---- Series: whoever reads one asks for each coefficient before it gets it.

struct series {
  runnel::chan<runnel::unit> wanted = runnel::make_chan<runnel::unit>();
  runnel::chan<rational> coefficient = runnel::make_chan<rational>();

  rational next() const {
    wanted.send({});
    return *coefficient.recv();
  }

  // Sends what f returns each time.
  template <class F>
  void send(F f) const {
    for (;;) {
      wanted.recv();
      coefficient.send(f());
    }
  }
};

template <class F>
series generate(F f) {
  series s;
  runnel::go([=] { s.send(f); });
  return s;
}

// The series of a first coefficient and of the others, which come from a series that is made when
// the second one is asked for. begin() returns the first and a function that makes the others.
template <class F>
series cons(F begin) {
  series s;
  runnel::go([=] {
    s.wanted.recv();
    const auto [first, others] = begin();
    s.coefficient.send(first);
    s.wanted.recv();
    const series rest = others();
    s.coefficient.send(rest.next());
    s.send([&rest] { return rest.next(); });
  });
  return s;
}

// Lets a series be read twice. Either reader may be ahead of the other, and may ask while the other
// one waits.
std::pair<series, series> split(series s) {
  struct reader {
    series out;
    std::deque<rational> ahead{};  // what it has still to get
    bool waits = false;
  };
  std::array<series, 2> outs;
  runnel::go([=] {
    reader a{outs[0]}, b{outs[1]};
    bool asked = false;
    for (;;) {
      runnel::select(runnel::recv(a.out.wanted, [&](auto) { a.waits = true; }),
                     runnel::recv(b.out.wanted, [&](auto) { b.waits = true; }),
                     runnel::recv(s.coefficient, [&](std::optional<rational> c) {
                       asked = false;
                       a.ahead.push_back(c.value());
                       b.ahead.push_back(c.value());
                     }));
      for (reader* r : {&a, &b}) {
        if (r->waits && !r->ahead.empty()) {
          r->out.coefficient.send(r->ahead.front());
          r->ahead.pop_front();
          r->waits = false;
        }
      }
      if ((a.waits || b.waits) && !asked) {
        s.wanted.send({});
        asked = true;
      }
    }
  });
  return {outs[0], outs[1]};
}

// The series that is defined in terms of itself.
template <class F>
series feedback(F define) {
  series s;
  const auto [result, itself] = split(s);
  runnel::go(
      [s, definition = define(itself)] { s.send([&definition] { return definition.next(); }); });
  return result;
}

// ---- Arithmetic

series constant(rational c) {
  return cons([=] { return std::pair(c, [] { return generate([] { return zero; }); }); });
}

series scaled(rational c, series f) {
  return generate([=] { return c * f.next(); });
}

series sum(series f, series g) {
  return generate([=] { return f.next() + g.next(); });
}

// With F = f + x F' it is f g + x (f G' + F' G).
series product(series f, series g) {
  const auto [g1, g2] = split(g);
  return cons([=] {
    const rational f0 = f.next();
    return std::pair(f0 * g1.next(), [=] { return sum(scaled(f0, g1), product(f, g2)); });
  });
}

// R F = 1 means that R = 1/f - x R F' / f.
series reciprocal(series f) {
  return feedback([=](series itself) {
    return cons([=] {
      const rational inverse_f0 = inverse(f.next());
      return std::pair(inverse_f0, [=] { return scaled(-inverse_f0, product(f, itself)); });
    });
  });
}

// F(G) = f + x G' F'(G), where G begins with zero.
series composition(series f, series g) {
  const auto [g1, g2] = split(g);
  return cons([=] {
    g1.next();
    return std::pair(f.next(), [=] { return product(g1, composition(f, g2)); });
  });
}

// ---- Calculus

series derivative(series f) {
  f.next();
  return generate([f, n = std::int64_t{0}]() mutable { return f.next() * rational{++n, 1}; });
}

series integral(rational c, series f) {
  return cons([=] {
    return std::pair(c, [=] {
      return generate([f, n = std::int64_t{0}]() mutable { return f.next() * rational{1, ++n}; });
    });
  });
}

// Of F, which begins with zero: E' = E F'.
series exponential(series f) {
  return feedback([=](series itself) { return integral(one, product(itself, derivative(f))); });
}

// ---- Some series

series x() { return integral(zero, constant(one)); }

series geometric() {  // 1 / (1 - x)
  return generate([] { return one; });
}

series logarithm() { return integral(zero, geometric()); }  // log 1 / (1 - x)

series tangent() {  // T' = 1 + T T
  return feedback([](series itself) {
    const auto [t1, t2] = split(itself);
    return integral(zero, sum(constant(one), product(t1, t2)));
  });
}

series arctangent() {  // A' = 1 / (1 + x x)
  return integral(zero, reciprocal(sum(constant(one), product(x(), x()))));
}

void show(const char* name, series s, int n) {
  std::printf("%s:", name);
  for (int i = 0; i < n; ++i) {
    const rational c = s.next();
    std::printf(" %jd", std::intmax_t{c.num});
    if (c.den != 1) std::printf("/%jd", std::intmax_t{c.den});
  }
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  const int n = argc > 1 ? std::atoi(argv[1]) : 20;
  runnel::run([&] {
    show("1/(1-x)", geometric(), n);
    show("1/(1-x) + x", sum(geometric(), x()), n);
    show("1/(1-x)^2", product(geometric(), geometric()), n);
    show("log 1/(1-x)", logarithm(), n);
    show("exp x", exponential(x()), n);
    show("1 / exp x", reciprocal(exponential(x())), n);
    show("exp log 1/(1-x)", exponential(logarithm()), n);
    show("exp (exp x - 1)", exponential(sum(exponential(x()), constant(-one))), n);
    show("tan x", tangent(), n);
    show("arctan x", arctangent(), n);
    show("tan x at 2x", composition(tangent(), scaled(rational{2, 1}, x())), n);
    show("tan arctan x", composition(tangent(), arctangent()), n);
  });
}
