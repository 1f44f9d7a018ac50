// What the example wordfreq takes, prints and says when something is wrong.

#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "programs/wordfreq.h"

namespace {

namespace fs = std::filesystem;
using namespace program_test;

TEST(wordfreq_usage, keeps_words_in_utf8_whole_and_does_not_print_what_is_none) {
  const temporary_directory tree;
  tree.write("text",
             "\xc3\x9c"
             "BER \xc3\x9c"
             "ber na\xc3\xafve \xe4\xb8\xad\xe6\x96\x87 \xf0\x9f\x98\x80");
  tree.write("junk",
             "a\xff"
             "b \xc2\x9b \xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xe4\xb8");
  const result found = count({tree.path()});
  const counted_words wanted = {
      {"\xc3\x9c"
       "ber",
       2},
      {R"(a\xffb)", 1},
      {"na\xc3\xafve", 1},
      {R"(\xc0\xaf)", 1},
      {R"(\xc2\x9b)", 1},
      {R"(\xe4\xb8)", 1},
      {"\xe4\xb8\xad\xe6\x96\x87", 1},
      {R"(\xed\xa0\x80)", 1},
      {"\xf0\x9f\x98\x80", 1},
      {R"(\xf4\x90\x80\x80)", 1},
  };
  EXPECT_EQ(found.words, wanted);
}

TEST(wordfreq_usage, goes_on_when_something_named_cannot_be_read_and_exits_with_1) {
  const temporary_directory tree;
  tree.write("file", "word");
  // The second can be opened, but has nothing at its start.
  const std::vector<std::string> bad = {tree.path() / "no\nsuch", "/proc/self/mem"};
  const result found = count({bad[0], tree.path(), bad[1]});
  EXPECT_EQ(found.run.status, 1);
  EXPECT_EQ(found.words, (counted_words{{"word", 1}}));
  EXPECT_EQ(found.total("files"), 1u);
  EXPECT_EQ(found.total("unreadable"), 2u);
  EXPECT_NE(found.run.err.find("no\\x0asuch: No such file or directory"), std::string::npos);
  EXPECT_NE(found.run.err.find("/proc/self/mem: "), std::string::npos) << found.run.err;
}

TEST(wordfreq_usage, goes_on_when_something_in_a_tree_cannot_be_read_and_names_the_first) {
  const temporary_directory tree;
  reference wanted;
  for (int i = 0; i < 200; ++i) {
    const fs::path file = tree.write(std::to_string(i / 10) + "/" + std::to_string(i), "word");
    if (i % 2 == 0) {
      fs::permissions(file, fs::perms::none);
    } else {
      wanted.add_file("word");
    }
  }
  fs::create_directory(tree.path() / "closed");
  fs::permissions(tree.path() / "closed", fs::perms::none);
  constexpr int not_possible = 77;
  const auto become_nobody = [&] {
    if (getuid() != 0) return 0;
    constexpr unsigned nobody = 65534;
    const bool done = setgroups(0, nullptr) == 0 && setgid(nobody) == 0 && setuid(nobody) == 0;
    return done && access(tree.path().c_str(), R_OK | X_OK) == 0 ? 0 : not_possible;
  };
  const result found = count({tree.path()}, become_nobody);
  if (found.run.status == not_possible) GTEST_SKIP() << "root may read everything here";
  EXPECT_EQ(found.run.status, 0) << found.run.err;
  EXPECT_EQ(found.total("files"), wanted.files);
  EXPECT_EQ(found.total("unreadable"), 101u);
  EXPECT_TRUE(found.words == wanted.in_order());
  EXPECT_NE(found.run.err.find("/0/0: Permission denied"), std::string::npos) << found.run.err;
  EXPECT_NE(found.run.err.find("and 96 more"), std::string::npos) << found.run.err;
}

TEST(wordfreq_usage, waits_for_file_descriptors_when_there_are_few) {
  const temporary_directory tree;
  reference wanted;
  constexpr int files = 64;
  const std::string words = random_text(5).words(300'000);
  for (int i = 0; i < files; ++i) tree.write(std::to_string(i), words);
  wanted.add_file(words, files);
  // More Ps than processors: then some lose theirs with a file open.
  const result found = count({"--jobs", "64", tree.path()}, [] {
    const rlimit few{8, 8};
    setenv("RUNNEL_MAXPROCS", "16", 1);
    return setrlimit(RLIMIT_NOFILE, &few);
  });
  expect_same(found, wanted);
}

TEST(wordfreq_usage, prints_the_most_frequent_words_first_and_equally_frequent_ones_in_order) {
  const temporary_directory tree;
  tree.write("file", "b a c a, b c z Z z y");
  const counted_words all = {{"z", 3}, {"a", 2}, {"b", 2}, {"c", 2}, {"y", 1}};
  for (std::size_t top = 0; top <= 6; ++top) {
    const outcome run = run_wordfreq({"--top=" + std::to_string(top), tree.path()});
    const auto wanted = all.begin() + static_cast<std::ptrdiff_t>(std::min(top, all.size()));
    EXPECT_EQ(parsed(run).words, counted_words(all.begin(), wanted));
  }
}

TEST(wordfreq_usage, prints_20_words_if_not_told) {
  const temporary_directory tree;
  std::string words;
  for (char c = 'a'; c <= 'z'; ++c) words += std::string(1, c) + ' ';
  tree.write("file", words);
  EXPECT_EQ(parsed(run_wordfreq({tree.path()})).words.size(), 20u);
}

TEST(wordfreq_usage, rejects_options_that_make_no_sense) {
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"--top"}, "a value is missing after '--top'"},
      {{"-t"}, "a value is missing after '-t'"},
      {{"--top", "-1"}, "not '-1'"},
      {{"--top", "x"}, "not 'x'"},
      {{"--top", "5x"}, "not '5x'"},
      {{"--top", ""}, "not ''"},
      {{"--top", "99999999999999999999"}, "not '99999999999999999999'"},
      {{"--jobs", "0"}, "not '0'"},
      {{"--jobs=5000"}, "not '5000'"},
      {{"--verbose"}, "no such option: '--verbose'"},
      {{"-px"}, "no such option: '-x'"},
      {{"--progress=yes"}, "'--progress=yes'"},
  };
  for (const auto& [arguments, message] : cases) {
    const outcome run = run_wordfreq(arguments);
    EXPECT_EQ(run.status, 2) << arguments[0];
    EXPECT_EQ(run.out, "");
    EXPECT_NE(run.err.find(message), std::string::npos) << run.err;
    EXPECT_NE(run.err.find("wordfreq --help"), std::string::npos) << run.err;
  }
}

TEST(wordfreq_usage, explains_itself) {
  const outcome run = run_wordfreq({"--help"});
  EXPECT_EQ(run.status, 0);
  EXPECT_EQ(run.err, "");
  for (const char* what : {"Usage: wordfreq", "--top", "--jobs", "--progress", "Exit status"}) {
    EXPECT_NE(run.out.find(what), std::string::npos) << what;
  }
}

TEST(wordfreq_usage, takes_everything_behind_two_dashes_as_names) {
  const outcome run = run_wordfreq({"--", "--help"});
  EXPECT_EQ(run.status, 1);
  EXPECT_NE(run.err.find("--help: No such file"), std::string::npos) << run.err;
}

TEST(wordfreq_usage, says_when_the_result_cannot_be_written) {
  const temporary_directory tree;
  tree.write("file", "word");
  const outcome run = run_wordfreq({tree.path()}, [] {
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    return dup2(full, STDOUT_FILENO) < 0 ? 126 : 0;
  });
  EXPECT_EQ(run.status, 1);
  EXPECT_NE(run.err.find("the result cannot be written: No space left on device"),
            std::string::npos)
      << run.err;
}

TEST(wordfreq_usage, says_how_fast_it_was) {
  const temporary_directory tree;
  tree.write("file", "word");
  const std::string err = run_wordfreq({tree.path()}).err;
  for (const char* what : {" s, ", " MB/s, ", " files/s, ", " cores\n"}) {
    EXPECT_NE(err.find(what), std::string::npos) << err;
  }
}

TEST(wordfreq_usage, shows_its_progress_when_asked_or_on_a_terminal) {
  const temporary_directory tree;
  const std::string file = tree.write("zeros", "");
  fs::resize_file(file, 8 << 20);  // nothing is stored, all of it is read

  // Enough work for some tenths of a second, on whatever machine this is.
  std::vector<std::string> arguments = {"--jobs", "1", file};
  const auto asked = [&] {
    std::vector<std::string> with_progress = arguments;
    with_progress.push_back("--progress");
    return run_wordfreq(with_progress).err;
  };
  while (asked().find(" MB, ") == std::string::npos) {
    ASSERT_LT(arguments.size(), 10'000u) << "no progress shown";
    arguments.insert(arguments.end(), arguments.size(), file);
  }
  arguments.insert(arguments.end(), arguments.size(), file);
  EXPECT_EQ(run_wordfreq(arguments).err.find(" MB, "), std::string::npos);

  const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(terminal, 0);
  ASSERT_EQ(grantpt(terminal), 0);
  ASSERT_EQ(unlockpt(terminal), 0);
  const std::string end = ptsname(terminal);
  const outcome run = run_wordfreq(arguments, [&] {
    return dup2(open(end.c_str(), O_RDWR | O_NOCTTY), STDERR_FILENO) < 0 ? 126 : 0;
  });
  EXPECT_EQ(run.status, 0);
  std::string shown(4096, '\0');
  shown.resize(
      static_cast<std::size_t>(std::max<ssize_t>(0, read(terminal, shown.data(), shown.size()))));
  close(terminal);
  EXPECT_NE(shown.find(" MB/s\x1b[K\r"), std::string::npos) << shown;
}

}  // namespace
