// Exits 1 and says why when count_words is wrong.
#include <iostream>

#include "word_count.hpp"

namespace {
int failures = 0;

void check(bool holds, const char* what) {
  if (holds) return;
  std::cerr << "FAILED: " << what << '\n';
  ++failures;
}
}  // namespace

int main() {
  check(count_words("").empty(), "no text, no words");
  check(count_words("To be, or not to be")["to"] == 2, "case does not matter");
  check(count_words("a-b a")["a"] == 2, "punctuation parts words");
  std::cout << (failures == 0 ? "all tests passed\n" : "");
  return failures == 0 ? 0 : 1;
}
