#include "tally.h"

#include <algorithm>

namespace wordfreq {

namespace {

void insert(std::vector<failure>& failures, failure one) {
  failures.insert(std::ranges::upper_bound(failures, one), std::move(one));
  if (failures.size() > tally::failures_named) failures.pop_back();
}

}  // namespace

void tally::add_failure(std::string path, int error) {
  ++unreadable;
  insert(failures, {std::move(path), error});
}

tally& tally::operator+=(const tally& other) {
  files += other.files;
  bytes += other.bytes;
  words += other.words;
  too_long += other.too_long;
  skipped += other.skipped;
  unreadable += other.unreadable;
  for (const failure& one : other.failures) insert(failures, one);
  return *this;
}

}  // namespace wordfreq
