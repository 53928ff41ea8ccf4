-- One of each kind of object, and texts that a careless reader would cut.
CREATE TABLE object (
	id INTEGER NOT NULL,   
	name VARCHAR(255) DEFAULT 'a;   
-- not a comment
x' NOT NULL,
	type INTEGER, -- a comment, with a comma
	"user" TEXT COLLATE NOCASE,
	lowered TEXT GENERATED ALWAYS AS (lower(name)) VIRTUAL,
	CONSTRAINT uq_object_name UNIQUE (name) ON CONFLICT IGNORE,
	CONSTRAINT pk_object PRIMARY KEY (id),
	CONSTRAINT fk_object_type FOREIGN KEY(type) REFERENCES type (id)
);
CREATE TABLE type (id INTEGER PRIMARY KEY AUTOINCREMENT, [odd;name] TEXT CHECK ([odd;name] <> ')'));
CREATE TABLE strict_one (a INT, b TEXT, PRIMARY KEY (a, b DESC)) STRICT, WITHOUT ROWID;
CREATE TABLE "--dash" ("(" TEXT, `,` TEXT);
CREATE UNIQUE INDEX ix_object_low ON object (lower(name) DESC) WHERE type > 3;
CREATE INDEX ix_object_type ON object (type);
CREATE TRIGGER touch AFTER UPDATE ON OBJECT BEGIN
	-- the next; line
	UPDATE object SET name = 'x;y' WHERE id = NEW.id;

	DELETE FROM type;
END;
CREATE VIEW b_view AS SELECT id, name FROM object;
CREATE VIEW a_view AS SELECT id FROM b_view -- all of them
;
CREATE TRIGGER instead INSTEAD OF INSERT ON b_view BEGIN INSERT INTO type (id) VALUES (NULL); END;
CREATE VIRTUAL TABLE words USING fts5(body);
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
INSERT INTO alembic_version VALUES ('003'), ('002b');
INSERT INTO type DEFAULT VALUES;
ANALYZE;
