// One call of `maestro`: what was asked for everywhere, the way to the server, and how answers are
// printed. Single owner, one thread.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/value.h"
#include "cli/doors.h"
#include "cli/io.h"
#include "cli/server.h"
#include "cli/table.h"
#include "cli/target.h"
#include "cli/verb.h"

namespace mc::cli {

enum class Format : std::uint8_t { table, json, yaml, ndjson };

// One column of a list: its head and what it shows of an item.
struct Column {
  std::string head;
  std::function<Cell(const Value& item)> cell;
};

class Session {
 public:
  // `io` and `doors` must outlive it.
  Session(const Io& io, const Doors& doors, const Args& args);

  const Io& io() const { return io_; }
  const Doors& doors() const { return doors_; }
  Format format() const { return format_; }
  bool quiet() const { return quiet_; }
  bool for_people() const { return format_ == Format::table && !quiet_; }
  const Paint& paint() const { return paint_; }
  const Paint& err_paint() const { return err_paint_; }

  // Connects on first use. Errors: those of find_target.
  Result<Server*> server();
  // Another connection, for a second thread.
  Result<std::unique_ptr<client::Transport>> connect();
  // The address of the server, "" before server() succeeded.
  const std::string& url() const { return target_.url; }
  // Talks over this transport from now on (exec).
  void use(std::unique_ptr<client::Transport> transport);

  void out(std::string_view text) const { io_.out(text); }
  void err(std::string_view text) const { io_.err(text); }
  // A remark for people on standard error; silent with --quiet.
  void note(std::string_view text) const;

  // Prints {items: […]} in the chosen format; `id` names the field that --quiet prints.
  void print_list(const Value& answer, const std::vector<Column>& columns,
                  const std::string& id = "id");
  // Prints one thing; `rows` is what a table shows of it.
  void print_one(const Value& thing, const Table& rows, const std::string& id = "id");
  // In JSON, YAML or NDJSON as asked (a table format prints JSON).
  void print_value(const Value& value);

 private:
  const Io& io_;
  const Doors& doors_;
  Format format_ = Format::table;
  bool quiet_ = false;
  Paint paint_, err_paint_;
  TargetFlags flags_;
  Target target_;
  std::unique_ptr<Server> server_;
};

// Runs one command line (without the program's name) and returns the exit code. Never throws.
int run_main(std::span<const std::string> words, const Io& io, const Doors& doors);

// Prints an Error the way every verb does: `maestro: what (code)`, problems, a hint, the request
// id.
void print_error(const Io& io, const Paint& paint, const Error& error,
                 const std::string& request_id);

// Cells that many columns share.
Cell text_cell(const Value& item, std::string_view field);
Cell status_cell(const Value& item);
Cell ago_cell(const Value& item, std::string_view field, Instant now);
Cell duration_cell(const Value& item, std::string_view field);
// A field as a person reads it: text as it is, null as "", texts with commas between, else JSON.
std::string shown(const Value& item, std::string_view field);

// The folder that a verb which opens the store itself means: --data, else the local one; empty: the
// database that POSTGRES_URL names.
std::string store_folder(const Io& io, const Args& args);

}  // namespace mc::cli
