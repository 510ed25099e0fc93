//! The Claude agent: client, conversation machine, tools, budget, transcript. Never names the forge.
