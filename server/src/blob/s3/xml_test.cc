#include "blob/s3/xml.h"

#include <gtest/gtest.h>

#include "blob/s3/answers.h"

namespace mc::blob {
namespace {

TEST(Xml, IsReadWithNamespacesEntitiesAndSpace) {
  const auto root = read_xml(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<s3:A xmlns:s3=\"x>y\">\n "
      "<B>a&amp;b&#x41;</B><C/></s3:A>\n");
  ASSERT_TRUE(root.ok()) << root.error().message;
  EXPECT_EQ(root->name, "A");
  EXPECT_EQ(root->text_of("B"), "a&bA");
  ASSERT_NE(root->child("C"), nullptr);
  EXPECT_EQ(root->text_of("D"), "");
}

TEST(Xml, WhatItDoesNotKnowIsRefused) {
  for (const char* text :
       {"", "<a>", "<a></b>", "<a/><b/>", "<!DOCTYPE a><a/>", "<a><![CDATA[x]]></a>",
        "<a>&unknown;</a>", "<a>&#0;</a>", "text", "<a:/>", "<:/>", "<a::b/>", "</>"})
    EXPECT_FALSE(read_xml(text).ok()) << text;
  std::string deep;
  for (int level = 0; level < 1'000; ++level) deep += "<a>";
  EXPECT_FALSE(read_xml(deep).ok());
  std::string wide = "<a>";
  for (std::size_t child = 1; child < kXmlElementsMax; ++child) wide += "<b/>";
  EXPECT_TRUE(read_xml(wide + "</a>").ok());
  EXPECT_FALSE(read_xml(wide + "<b/></a>").ok());
}

TEST(Answers, AListIsReadWithItsNextPage) {
  const auto listing = read_listing(
      "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</"
      "NextContinuationToken>"
      "<Contents><Key>ci/a%20b</Key><Size>12</Size><LastModified>2026-01-02T03:04:05.000Z</"
      "LastModified>"
      "</Contents></ListBucketResult>",
      3);
  ASSERT_TRUE(listing.ok()) << listing.error().message;
  ASSERT_EQ(listing->objects.size(), 1U);
  EXPECT_EQ(listing->objects[0].size, 12);
  EXPECT_EQ(listing->next, "t");
  EXPECT_FALSE(read_listing("<html><body>a proxy's page</body></html>", 0).ok());
}

TEST(Answers, WhatPassesIsNoFaultOfTheSettings) {
  EXPECT_EQ(explain_refusal({.status = 503, .body = "<Error><Code>SlowDown</Code></Error>"}).code,
            Code::unreachable);
  EXPECT_EQ(explain_refusal({.status = 400, .body = "<Error><Code>Odd</Code></Error>"}).code,
            Code::store_failed);
}

TEST(Answers, ARefusalNamesTheSettingAndRepeatsNothingOfTheServers) {
  const Error error = explain_refusal({.status = 403,
                                       .body = "<Error><Code>SignatureDoesNotMatch</Code>"
                                               "<Message>AKIA-what-was-signed</Message></Error>",
                                       .endpoint = "http://s3",
                                       .bucket = "b",
                                       .action = "PUT of an object",
                                       .date = ""});
  EXPECT_NE(error.message.find("S3_SECRET_ACCESS_KEY"), std::string::npos) << error.message;
  EXPECT_EQ(error.message.find("AKIA"), std::string::npos) << error.message;
}

}  // namespace
}  // namespace mc::blob
