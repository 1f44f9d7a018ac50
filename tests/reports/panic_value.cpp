// The value that a goroutine panics with has an operator<<.
// status: 2
// expect: ^panic: order 1007 over 250 EUR$
// expect: ^goroutine \d+ \[running\]:$
#include <runnel/runnel.h>

#include <ostream>

struct order {
  int number;
  int euros;
};

std::ostream& operator<<(std::ostream& out, const order& o) {
  return out << "order " << o.number << " over " << o.euros << " EUR";
}

int main() {
  runnel::run([] { runnel::panic(order{1007, 250}); });
}
