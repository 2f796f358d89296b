// Prints the words of standard input with how often they came.
#include <iostream>
#include <iterator>

#include "word_count.hpp"

int main() {
  const std::string text(std::istreambuf_iterator<char>(std::cin), {});
  for (const auto& [word, count] : count_words(text)) std::cout << count << ' ' << word << '\n';
}
