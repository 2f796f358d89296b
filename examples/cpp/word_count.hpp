// Counts words: the little program that the examples build and test.
#pragma once

#include <map>
#include <string>
#include <string_view>

// How often each word stands in `text`. Words are runs of letters and digits, in lower case.
std::map<std::string, int> count_words(std::string_view text);
