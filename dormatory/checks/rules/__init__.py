"""What each rule means, why it matters and how to do it right: texts only, a module for each group of families."""
