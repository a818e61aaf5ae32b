#include "common/core/raw_head.hpp"

#include <gtest/gtest.h>

namespace svc {
namespace {

TEST(RawHead, HasFoldedLine_Table) {
  EXPECT_FALSE(has_folded_line("GET / HTTP/1.1\r\nHost: h\r\n\r\n"));
  EXPECT_TRUE(has_folded_line("GET / HTTP/1.1\r\nHost: h\r\n b\r\n\r\n"));
  EXPECT_TRUE(has_folded_line("GET / HTTP/1.1\r\nTransfer-Encoding:\r\n\tchunked\r\n\r\n"));
  EXPECT_TRUE(has_folded_line("GET / HTTP/1.1\r\n Host: h\r\n\r\n"));
  EXPECT_FALSE(has_folded_line("GET / HTTP/1.1\r\nHost: h\r\n\r\n body"));
  EXPECT_FALSE(has_folded_line(""));
}

TEST(RawHead, NamesHttpVersion_Table) {
  EXPECT_TRUE(names_http_version("GET / HTTP/2.0\r\n"));
  EXPECT_TRUE(names_http_version("GET / HTTP/0.9\r\n"));
  EXPECT_TRUE(names_http_version("GET / HTTP/1.9\r"));
  EXPECT_TRUE(names_http_version("GET / HTTP/1.9"));
  EXPECT_FALSE(names_http_version("GET / HTTQ/1.1\r\n"));
  EXPECT_FALSE(names_http_version("GET /hea lth HTTP/1.1\r\n"));
  EXPECT_FALSE(names_http_version("GET /\r\n"));
  EXPECT_FALSE(names_http_version("GET / HTTP/1.1\nHost: h\r\n"));
  EXPECT_FALSE(names_http_version("GET / HTTP/11.1\r\n"));
}

TEST(RawHead, OriginForm_Table) {
  EXPECT_EQ(origin_form("/a?b"), "/a?b");
  EXPECT_EQ(origin_form("*"), "*");
  EXPECT_EQ(origin_form("http://h:80/a?b=http://c/"), "/a?b=http://c/");
  EXPECT_EQ(origin_form("HTTP://h/"), "/");
  EXPECT_EQ(origin_form("http://h"), "/");
  EXPECT_EQ(origin_form("http:///a"), "");
  EXPECT_EQ(origin_form("http://u@h/a"), "");
  EXPECT_EQ(origin_form("ftp://h/a"), "");
  EXPECT_EQ(origin_form("http://h?x"), "");
  EXPECT_EQ(origin_form("/a://b"), "/a://b");
}

TEST(RawHead, ChunkExtension_ControlCharacters_AreRefused) {
  EXPECT_TRUE(allowed_chunk_extension(""));
  EXPECT_TRUE(allowed_chunk_extension(";a=b;\tc=\"d e\""));
  EXPECT_FALSE(allowed_chunk_extension(";a=\"\n\""));
  EXPECT_FALSE(allowed_chunk_extension(";a=\"\r\""));
  EXPECT_FALSE(allowed_chunk_extension(std::string_view(";\0", 2)));
  EXPECT_FALSE(allowed_chunk_extension(";a=\x7f"));
}

}  // namespace
}  // namespace svc
