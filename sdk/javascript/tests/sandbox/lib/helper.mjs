// A module of the project that reads a setting when it is loaded.
export const NAME = process.env.NAME;
