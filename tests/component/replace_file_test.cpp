#include "common/io/replace_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/temp_folder.hpp"

namespace svc {
namespace {

std::string names_in(const test::TempFolder& folder) {
  std::string names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path("."))) {
    names += entry.path().filename().string() + ' ';
  }
  return names;
}

TEST(ReplaceFile, NewAndReplaced) {
  const test::TempFolder folder;
  const std::string path = folder.path("file");
  EXPECT_TRUE(replace_file(path, "one\n").has_value());
  EXPECT_TRUE(replace_file(path, "").has_value());
  EXPECT_EQ(folder.read("file"), "");
  const std::string large(1'000'000, 'x');
  EXPECT_TRUE(replace_file(path, large, 0600).has_value());
  EXPECT_EQ(folder.read("file"), large);
  EXPECT_EQ(names_in(folder), "file ") << "no partial file is left";
  struct ::stat facts {};
  ASSERT_EQ(::stat(path.c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777U, 0600U);
}

TEST(ReplaceFile, WhenItFails_TheOldFileStaysAndNothingElse) {
  const test::TempFolder folder;
  std::filesystem::create_directory(folder.path("taken"));
  folder.write("taken/inside", "kept");
  const auto written = replace_file(folder.path("taken"), "text");
  ASSERT_TRUE(written.has_error());
  EXPECT_NE(written.error().to_string().find("cannot write '" + folder.path("taken") + "': Is a directory"),
            std::string::npos);
  EXPECT_EQ(folder.read("taken/inside"), "kept");
  EXPECT_EQ(names_in(folder), "taken ");
  EXPECT_TRUE(replace_file(folder.path("no/folder"), "text").has_error());
}

TEST(ReplaceFile, ALinkInThePlaceOfTheNewFile_IsNotFollowed) {
  const test::TempFolder folder;
  folder.write("victim", "kept");
  // Whichever of the names comes next.
  for (int i = 1; i <= 2000; ++i) {
    const std::string partial = folder.path("file." + std::to_string(::getpid()) + '.' + std::to_string(i) + ".new");
    ASSERT_EQ(::symlink(folder.path("victim").c_str(), partial.c_str()), 0);
  }
  EXPECT_TRUE(replace_file(folder.path("file"), "text").has_error());
  EXPECT_EQ(folder.read("victim"), "kept");
}

}  // namespace
}  // namespace svc
