// The editor's schema and the reader are two accounts of one language: each key that one knows, the
// other knows too. schema_test.py holds whole definitions against it with a validator.
#include <gtest/gtest.h>

#include "base/json.h"
#include "lang/actions.h"
#include "lang/keys.h"
#include "lang/parse.h"

namespace mc::lang {
namespace {
Value schema() {
  Result<Value> parsed = parse_json(workflow_schema());
  EXPECT_TRUE(parsed.ok());
  return parsed.ok() ? std::move(*parsed) : Value(Object{});
}

const Value& properties_of(const Value& whole, const Section& section) {
  const bool root = section.name == "workflow";
  const Value* holder = root ? &whole : whole.find("$defs")->find(section.name);
  return *holder->find("properties");
}

// Where a $ref points to, or nullptr.
const Value* target(const Value& whole, const std::string& reference) {
  constexpr std::string_view kPrefix = "#/$defs/";
  if (!reference.starts_with(kPrefix)) return nullptr;
  return whole.find("$defs")->find(std::string_view(reference).substr(kPrefix.size()));
}

void expect_references(const Value& whole, const Value& at) {
  if (at.is_list()) {
    for (const Value& item : at.as_list()) expect_references(whole, item);
  }
  if (!at.is_object()) return;
  for (const Member& member : at.as_object()) {
    if (member.first == "$ref") {
      EXPECT_NE(target(whole, member.second.as_string()), nullptr) << member.second.as_string();
    }
    expect_references(whole, member.second);
  }
}

TEST(Schema, KnowsTheKeysThatTheReaderKnowsAndNoOthers) {
  const Value whole = schema();
  for (const Section* section : all_sections()) {
    const Value& properties = properties_of(whole, *section);
    for (const Key& key : section->keys) {
      const Value* property = properties.find(key.name);
      ASSERT_NE(property, nullptr) << section->name << "." << key.name;
      EXPECT_EQ(property->string_or("description", ""), key.meaning);
    }
    for (const Member& member : properties.as_object()) {
      const bool spelling = member.second.bool_or("deprecated", false);
      EXPECT_EQ(section->find(member.first) == nullptr, spelling)
          << section->name << "." << member.first;
    }
  }
}

TEST(Schema, EveryReferenceLeadsSomewhere) {
  const Value whole = schema();
  expect_references(whole, whole);
}

TEST(Schema, HasTheActionsWithTheirInputs) {
  const Value whole = schema();
  const Value& step = *whole.find("$defs")->find("step");
  EXPECT_EQ(step.find("properties")->find("uses")->find("enum")->as_list().size(),
            actions().size());
  EXPECT_EQ(step.find("allOf")->as_list().size(), actions().size());
}
}  // namespace
}  // namespace mc::lang
