// The table of verbs as documents: manual page, Markdown reference, completion scripts.
#pragma once

#include <string>

namespace mc::cli {

std::string manual_page();         // roff, section 1: docs/man/maestro.1
std::string reference_markdown();  // docs/reference/cli.md
// "" for a shell that is not bash, zsh or fish.
std::string completion_script(const std::string& shell);

}  // namespace mc::cli
