// What the example wordfreq counts, in one tree and another.

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "programs/wordfreq.h"

namespace {

namespace fs = std::filesystem;
using namespace program_test;

TEST(wordfreq, counts_the_words_of_nested_directories) {
  const temporary_directory tree;
  reference wanted;
  random_text text(1);
  for (const char* name :
       {"a", "b/c", "b/d", "b/e/f/g/h", ".hidden/.also", "with space/new\nline"}) {
    const std::string words = text.words(5000);
    tree.write(name, words);
    wanted.add_file(words);
  }
  expect_same(count({tree.path()}), wanted);
}

TEST(wordfreq, counts_many_small_files) {
  const temporary_directory tree;
  reference wanted;
  random_text text(2);
  for (int i = 0; i < 3000; ++i) {
    const std::string words = text.words(text.below(400));
    tree.write(std::to_string(i % 40) + "/" + std::to_string(i), words);
    wanted.add_file(words);
  }
  expect_same(count({tree.path()}), wanted);
}

TEST(wordfreq, counts_one_huge_file) {
  const temporary_directory tree;
  reference wanted;
  const std::string words = random_text(3).words(5 << 20);
  tree.write("huge", words);
  wanted.add_file(words);
  expect_same(count({tree.path()}), wanted);
}

TEST(wordfreq, does_not_split_a_word_wherever_in_the_file_it_is) {
  const temporary_directory tree;
  reference wanted;
  for (const std::size_t chunk :
       {std::size_t{4} << 10, std::size_t{32} << 10, std::size_t{64} << 10}) {
    for (const std::size_t length : {1, 7, 8, 9, 15, 16, 17, 63, 64, 65, 66, 130}) {
      for (std::size_t before = 0; before <= length + 1; before += length < 20 ? 1 : 13) {
        const std::string words = std::string(chunk - before, ' ') + std::string(length, 'w') +
                                  (before % 2 == 0 ? "" : " and more");
        tree.write(
            std::to_string(chunk) + "/" + std::to_string(length) + "/" + std::to_string(before),
            words);
        wanted.add_file(words);
      }
    }
  }
  expect_same(count({tree.path()}), wanted);
}

TEST(wordfreq, leaves_out_words_of_more_than_64_bytes) {
  const temporary_directory tree;
  reference wanted;
  const std::string words = std::string(64, 'a') + ' ' + std::string(65, 'b') + " c " +
                            std::string(300'000, 'd') + " e " + std::string(200'000, 'f');
  tree.write("long", words);
  wanted.add_file(words);
  const result found = count({tree.path()});
  expect_same(found, wanted);
  EXPECT_EQ(found.total("too long"), 3u);
  EXPECT_EQ(found.total("distinct"), 3u);
}

TEST(wordfreq, tells_words_apart_that_differ_in_one_byte_only) {
  const temporary_directory tree;
  reference wanted;
  std::string words;
  for (std::size_t length = 1; length <= 64; ++length) {
    for (std::size_t at = 0; at < length; ++at) {
      std::string word(length, 'a');
      word[at] = 'b';
      for (std::size_t times = 0; times <= at; ++times) words += word + '\n';
    }
  }
  tree.write("words", words);
  wanted.add_file(words);
  expect_same(count({tree.path()}), wanted);
}

TEST(wordfreq, counts_binary_junk_by_the_same_rule) {
  const temporary_directory tree;
  reference wanted;
  random_text text(4);
  for (int i = 0; i < 10; ++i) {
    const std::string junk = text.junk(100'000 + text.below(100'000));
    tree.write(std::to_string(i), junk);
    wanted.add_file(junk);
  }
  const result found = count({tree.path()});
  expect_totals(found, wanted);
  // Other words are not printed as they are, but all are counted.
  counted_words ascii;
  for (const auto& word : wanted.in_order()) {
    if (std::ranges::all_of(word.first, [](char c) { return c > 0; })) ascii.push_back(word);
  }
  counted_words found_ascii;
  std::uint64_t sum = 0;
  for (const auto& word : found.words) {
    sum += word.second;
    if (std::ranges::all_of(word.first, [](char c) { return c >= 'a' && c <= 'z'; })) {
      found_ascii.push_back(word);
    }
  }
  EXPECT_EQ(found.words.size(), wanted.counts.size());
  EXPECT_EQ(sum, wanted.words);
  EXPECT_TRUE(found_ascii == ascii);
}

TEST(wordfreq, finds_nothing_in_an_empty_tree) {
  const temporary_directory tree;
  fs::create_directories(tree.path() / "a/b/c");
  tree.write("d/empty", "");
  reference wanted;
  wanted.add_file("");
  expect_same(count({tree.path()}), wanted);
}

TEST(wordfreq, reads_files_that_do_not_tell_their_size) {
  reference wanted;
  for (const char* file : {"/proc/version", "/proc/filesystems"}) wanted.add_file(contents(file));
  ASSERT_GT(wanted.words, 0u);
  expect_same(count({"/proc/version", "/proc/filesystems"}), wanted);
}

TEST(wordfreq, follows_no_symbolic_link_below_a_directory) {
  const temporary_directory tree;
  tree.write("a/file", "word");
  fs::create_directory_symlink(tree.path(), tree.path() / "a/loop");
  fs::create_directory_symlink("nowhere", tree.path() / "a/dangling");
  fs::create_symlink("file", tree.path() / "a/again");
  const result found = count({tree.path()});
  EXPECT_EQ(found.run.status, 0);
  EXPECT_EQ(found.words, (counted_words{{"word", 1}}));
  EXPECT_EQ(found.total("skipped"), 3u);
  EXPECT_EQ(found.total("unreadable"), 0u);
}

TEST(wordfreq, follows_a_symbolic_link_that_is_named) {
  const temporary_directory tree;
  tree.write("a/file", "word");
  fs::create_directory_symlink("a", tree.path() / "b");
  EXPECT_EQ(count({tree.path() / "b"}).words, (counted_words{{"word", 1}}));
}

TEST(wordfreq, opens_no_pipe_and_no_socket) {
  const temporary_directory tree;
  tree.write("file", "word");
  ASSERT_EQ(mkfifo((tree.path() / "pipe").c_str(), 0600), 0);
  const int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_GE(listener, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = tree.path() / "socket";
  ASSERT_LT(name.size(), sizeof address.sun_path);
  name.copy(address.sun_path, name.size());
  ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  const result found = count({tree.path(), tree.path() / "pipe", "/dev/zero"});
  close(listener);
  EXPECT_EQ(found.run.status, 0);
  EXPECT_EQ(found.words, (counted_words{{"word", 1}}));
  EXPECT_EQ(found.total("skipped"), 4u);
}

TEST(wordfreq, counts_what_is_named_as_often_as_it_is_named) {
  const temporary_directory tree;
  tree.write("a/file", "once");
  const std::string file = tree.write("b", "twice");
  const result found = count({file, tree.path() / "a", file});
  EXPECT_EQ(found.words, (counted_words{{"twice", 2}, {"once", 1}}));
  EXPECT_EQ(found.total("files"), 3u);
}

TEST(wordfreq, finds_the_same_whatever_the_number_of_ps_and_jobs) {
  const temporary_directory tree;
  reference wanted;
  random_text text(6);
  for (int i = 0; i < 300; ++i) {
    const std::string words = text.words(i % 50 == 0 ? 500'000 : 2000);
    tree.write(std::to_string(i % 7) + "/" + std::to_string(i % 11) + "/" + std::to_string(i),
               words);
    wanted.add_file(words);
  }
  for (const char* procs : {"1", "2", "5"}) {
    for (const char* jobs : {"1", "2", "100"}) {
      SCOPED_TRACE(std::string("Ps: ") + procs + ", jobs: " + jobs);
      const result found =
          count({"--jobs", jobs, tree.path()}, [&] { return setenv("RUNNEL_MAXPROCS", procs, 1); });
      expect_same(found, wanted);
    }
  }
}

}  // namespace
