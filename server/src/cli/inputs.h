// Command-line texts to what requests hold.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/value.h"
#include "cli/io.h"

namespace mc::cli {

// "k=v" texts to an object of strings. Errors: usage, naming `option`.
Result<Value> pairs_from(const std::vector<std::string>& texts, const std::string& option);
// As pairs_from, where k=@FILE reads a file.
Result<Value> inputs_from(const std::vector<std::string>& texts);
// The text of a definition file, or of standard input for "-". Takes more than a definition may
// hold: that it is too large is for the language to say. Errors: usage.
Result<std::string> read_definition_file(const Io& io, const std::string& file);
// The text of a definition file, of standard input for "-", or nullopt when `name` is a workflow's
// name. Errors: usage (no such file).
Result<std::optional<std::string>> definition_text(const Io& io, const std::string& name);
// "ci" of "a/b/ci.yaml": the default name of a definition.
std::string name_of_file(const std::string& path);

}  // namespace mc::cli
