#include "ctl/core/text_table.hpp"

#include <gtest/gtest.h>

namespace svc::ctl {
namespace {

TEST(TextTable, Columns_LineUpByCharacters) {
  TextTable table;
  table.column("NAME");
  table.column("N", TextTable::Align::right);
  table.column("WHAT");
  table.row({"✓ über", "7", "last"});
  table.row({"a-longer-name", "1234", ""});
  EXPECT_EQ(table.text(),
            "NAME              N  WHAT\n"
            "✓ über            7  last\n"
            "a-longer-name  1234\n");
}

TEST(TextTable, WithoutRows_IsNothing) {
  TextTable table;
  table.column("NAME");
  EXPECT_EQ(table.text(), "");
}

TEST(TextTable, FewerCells_AreFilledUp) {
  TextTable table;
  table.column("A");
  table.column("B");
  table.row({"x"});
  EXPECT_EQ(table.text(), "A  B\nx\n");
}

TEST(TextTable, ControlCharacters_CannotSteerATerminal) {
  TextTable table;
  table.column("A");
  table.row({"a\x1b[2Jb\nc"});
  EXPECT_EQ(table.text(), "A\na?[2Jb?c\n");
}

}  // namespace
}  // namespace svc::ctl
